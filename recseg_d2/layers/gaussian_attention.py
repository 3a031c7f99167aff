"""Reading a patch out of an image, and writing one back, through Gaussian filters.

Source: Ren & Zemel 2017, eq. 11 to 16 (after DRAW, Gregor et al. 2015).

Shape letters: B images, C channels, H W the image's height and width, P Q the patch's.
Positions are in pixels, with pixel centres at integers: the first pixel is at 0. Pairs are y, x.
A filter is a normal density at the pixels and is not normalised: what lies outside of the image is
lost, as in the paper, so that a window beyond the border reads zeros from there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

# Below this exponent a density is 0: no sum that it is part of would change in float32, and with
# numbers too small to be normalised, as it and products of it may be, processors are slow.
LEAST_EXPONENT = -40.0


@dataclass
class GaussianFilters:
    """The filters of a batch of windows; the transposes of the paper's F_Y and F_X.

    Attributes:
        y: (B, P, H), weight of each row of the image for each row of the patch.
        x: (B, Q, W), weights of the image's columns for each of Q columns of the patch.
    """

    y: torch.Tensor
    x: torch.Tensor


def filter_means(centre: torch.Tensor, size: torch.Tensor, count: int) -> torch.Tensor:
    """Eq. 11 and 12: where each row (or column) of the patch lies in the image.

    Args:
        centre: (B,), centre of the window along the axis in pixels.
        size: (B,), pixels from the centre of the window's first pixel to that of its last, above
            -1.
        count: number of filters along the axis, P or Q.

    Returns:
        (B, count).
    """
    index = torch.arange(count, device=centre.device, dtype=centre.dtype)
    offset = (index - count / 2 + 0.5) / count
    return centre[:, None] + (size[:, None] + 1) * offset


def axis_filters(means: torch.Tensor, log_variance: torch.Tensor, length: int) -> torch.Tensor:
    """Eq. 13 and 14: normal densities at the pixels of one axis.

    Args:
        means: (B, P), centre of each filter along the axis in pixels.
        log_variance: (B,), natural logarithm of the filters' variance in square pixels.
        length: length of the axis in pixels, H or W.

    Returns:
        (B, P, length).
    """
    position = torch.arange(length, device=means.device, dtype=means.dtype)
    distance = (position - means[..., None]).square()
    precision = torch.exp(-log_variance)[:, None, None]
    exponent = -0.5 * distance * precision
    density = torch.exp(exponent.clamp(min=LEAST_EXPONENT)) * (exponent >= LEAST_EXPONENT)
    return torch.sqrt(precision / (2 * math.pi)) * density


def gaussian_filters(
    centre: torch.Tensor,
    size: torch.Tensor,
    log_variance: torch.Tensor,
    patch_size: tuple[int, int],
    image_size: tuple[int, int],
) -> GaussianFilters:
    """Filters of windows that may be rectangles and may lie partly or wholly outside of the image.

    Args:
        centre: (B, 2), y and x of the window's centre in pixels.
        size: (B, 2), the same as a height and a width, from first to last pixel centre.
        log_variance: (B, 2), natural logarithm of the variance in square pixels, along y and x.
        patch_size: P and Q, rows and columns of the patch.
        image_size: H and W, height and width of the image in pixels.
    """
    y, x = (
        axis_filters(
            filter_means(centre[:, axis], size[:, axis], patch_size[axis]),
            log_variance[:, axis],
            image_size[axis],
        )
        for axis in (0, 1)
    )
    return GaussianFilters(y, x)


def rows_first(image: torch.Tensor) -> torch.Tensor:
    """(B, C, H, W) to the (B, H, C, W) that ``read_patch`` takes; once for all windows."""
    return image.transpose(1, 2).contiguous()


def read_patch(image: torch.Tensor, filters: GaussianFilters) -> torch.Tensor:
    """Eq. 16, ``F_Y^T x F_X`` for every channel, as two batched matrix products.

    Args:
        image: (B, H, C, W) from ``rows_first``.
        filters: the filters of one window for each image.

    Returns:
        (B, C, P, Q), channels last in memory, as convolutions take them fastest.
    """
    batch, _, channels, width = image.shape
    rows = filters.y @ image.flatten(2)  # (B, P, C W)
    patch = rows.view(batch, -1, width) @ filters.x.transpose(1, 2)  # (B, P C, Q)
    patch = patch.view(batch, -1, channels, patch.shape[2])
    return patch.transpose(2, 3).contiguous().permute(0, 3, 1, 2)


def write_patch(patch: torch.Tensor, filters: GaussianFilters) -> torch.Tensor:
    """``Extract`` with the transposed filters (eq. 19): ``F_Y y F_X^T``.

    Args:
        patch: (B, P, Q), what is written into the window of each image.
        filters: the filters of one window for each image.

    Returns:
        (B, H, W).
    """
    return filters.y.transpose(1, 2) @ patch @ filters.x


def write_ones(filters: GaussianFilters) -> torch.Tensor:
    """``write_patch`` of a patch of ones (eq. 25), which is an outer product: (B, H, W)."""
    return filters.y.sum(1)[:, :, None] * filters.x.sum(1)[:, None, :]
