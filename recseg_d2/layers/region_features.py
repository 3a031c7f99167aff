"""Features and masks of boxes on a regular grid, all boxes of an image at once.

Shape letters: B images, C channels, h w cells of a feature map, R boxes, H W pixels of masks, s
cells a side of a box's grid. A box has corners x1 y1 x2 y2, the last pixel's far edge included.

Sources: Dai et al. 2016, "Instance-aware semantic segmentation via multi-task network cascades"
(MNC), section 3.2, whose RoI warping is the same bilinear sampling; the mean of several points a
cell is that of He et al. 2017, "Mask R-CNN".
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def region_features(
    features: torch.Tensor,
    boxes: torch.Tensor,
    image: torch.Tensor,
    stride: int,
    side: int,
    samples: int,
) -> torch.Tensor:
    """Feature maps of boxes: each cell is the mean of points in it, read by bilinear interpolation.

    Args:
        features: (B, C, h, w); the cell (i, j) is centred at pixel ((j + 0.5) * stride,
            (i + 0.5) * stride). Beyond its outermost centres the map goes on as it ends.
        boxes: (R, 4), x1 y1 x2 y2 of each region in pixels of the image.
        image: (R,) int64 in [0, B), the image of each box.
        stride: pixels of the image along a side of a feature cell.
        side: s, cells along a side of the result.
        samples: number of sampling points along each axis of a cell.

    Returns:
        (R, C, s, s), differentiable in the features.
    """
    x = 2 * _positions(boxes[:, 0::2], side * samples) / (stride * features.shape[3]) - 1
    y = 2 * _positions(boxes[:, 1::2], side * samples) / (stride * features.shape[2]) - 1
    points = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), dim=3)
    if len(features) == 1:
        return _read(features, points, samples)
    owners = [(image == index).nonzero()[:, 0] for index in range(len(features))]
    parts = [
        _read(features[index : index + 1], points[chosen], samples)
        for index, chosen in enumerate(owners)
    ]
    return torch.cat(parts)[torch.argsort(torch.cat(owners))]


def _read(features: torch.Tensor, points: torch.Tensor, samples: int) -> torch.Tensor:
    """(R, C, s, s) of one image's map (1, C, h, w) at points (R, s * samples, s * samples, 2)."""
    grid = points.flatten(0, 1)[None].to(features.dtype)  # boxes below one another
    read = F.grid_sample(features, grid, padding_mode="border", align_corners=False)
    read = read[0].unflatten(1, points.shape[:2]).transpose(0, 1)
    return F.avg_pool2d(read, samples)


def region_masks(
    masks: torch.Tensor, boxes: torch.Tensor, side: int, samples: int = 4
) -> torch.Tensor:
    """Masks of boxes: each cell is the share of points in it that lie in the mask.

    Args:
        masks: (R, H, W) bool, the mask of each region.
        boxes: (R, 4), x1 y1 x2 y2 of each region in pixels of the masks.
        side: s, cells along a side of the result.
        samples: number of sampling points along each axis of a cell.

    Returns:
        (R, s, s) float32 in [0, 1].
    """
    height, width = masks.shape[1:]
    x = _positions(boxes[:, 0::2], side * samples).long().clamp(0, width - 1)
    y = _positions(boxes[:, 1::2], side * samples).long().clamp(0, height - 1)
    which = torch.arange(len(masks), device=masks.device)[:, None, None]
    read = masks[which, y[:, :, None], x[:, None, :]]  # no float copy of the whole masks
    return F.avg_pool2d(read.float()[:, None], samples)[:, 0]


def _positions(edges: torch.Tensor, number: int) -> torch.Tensor:
    """(R, 2) both ends of intervals -> (R, number), middles of as many equal parts of them."""
    share = (torch.arange(number, dtype=edges.dtype, device=edges.device) + 0.5) / number
    return edges[:, :1] + share * (edges[:, 1:] - edges[:, :1])
