"""A training forward of InstanceFCN: windows drawn, masks assembled, losses.

Source: Dai et al. 2016, sections 3.3 and 4.1. Shape letters as in ``recseg_d2.layers.assembling``.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from recseg_d2.errors import require
from recseg_d2.layers.assembling import gather_windows
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.models.instance_fcn.labels import (
    WindowSample,
    ignore_negatives,
    label_windows,
    mask_targets,
    sample_windows,
)
from recseg_d2.models.instance_fcn.losses import objectness_loss, proposal_mask_loss
from recseg_d2.models.instance_fcn.network import InstanceFCN, ProposalMaps
from recseg_d2.models.instance_fcn.options import InstanceFCNOptions, SamplingOptions


def check_crop_size(model: InstanceFCN, options: SamplingOptions) -> None:
    """Refuse crops that do not fit a network.

    Raises:
        OptionError: they do not.
    """
    side, stride, crop = model.geometry.side, model.stride, options.crop_size
    fits = crop == 0 or (crop >= side and crop % stride == 0)
    expected = f"0 (whole images), or a multiple of the stride {stride} from the window's {side} on"
    require(fits, options, "crop_size", expected)


def proposal_losses(
    model: InstanceFCN,
    images: Sequence[torch.Tensor],
    masks: Sequence[torch.Tensor],
    options: InstanceFCNOptions,
    ignored: Sequence[torch.Tensor | None] | None = None,
) -> dict[str, torch.Tensor]:
    """Weighted losses of a batch, whose images may differ in size: those of one size run together.

    Args:
        model: an InstanceFCN, in training mode or not.
        images: (3, H, W) each, normalised, and padded with 0 below and to the right so that H and W
            are multiples of the stride.
        masks: (N, height, width) bool for each image, the masks of its objects; height and width
            are the image's before padding. Empty masks are left out.
        options: which windows are positive and drawn, and the weights of the losses.
        ignored: (height, width) bool for each image, where nothing is learned: negative windows are
            not centred there, and mask pixels that touch it have no target; None is nowhere.

    Returns:
        "loss_objectness" and "loss_mask", scalars.
    """
    unknown = [None] * len(images) if ignored is None else ignored
    scores, positives, logits, targets = [], [], [], []
    for members in _equal_sizes(images):
        group = [masks[i][masks[i].flatten(1).any(1)] for i in members]
        of_group = [unknown[i] for i in members]
        samples = [_sample(model, m, options, u) for m, u in zip(group, of_group, strict=True)]
        windows, positive = _join(samples)
        batch = torch.stack([images[i] for i in members])
        maps, windows = _maps(model, batch, windows, options.sampling.crop_size)
        scores.append(model.objectness(maps, windows).float())
        positives.append(positive)
        logits.append(model.mask_logits(maps, windows[positive]).float())
        targets += [
            mask_targets(m, s, model.geometry, model.mask_side, options.sampling.soft_targets, u)
            for m, s, u in zip(group, samples, of_group, strict=True)
        ]
    with torch.autocast(images[0].device.type, enabled=False):
        objectness = objectness_loss(torch.cat(scores), torch.cat(positives))
        mask = proposal_mask_loss(torch.cat(logits), torch.cat(targets))
    return {
        "loss_objectness": options.loss_weights.objectness * objectness,
        "loss_mask": options.loss_weights.mask * mask,
    }


def crop_windows(
    images: torch.Tensor, windows: torch.Tensor, stride: int, cells: int
) -> torch.Tensor:
    """Cut the surroundings of windows out of images.

    Args:
        images: (B, 3, H, W); pixels outside of them are 0, the mean colour.
        windows: (R, 3) int64.
        stride: pixels along a side of a cell.
        cells: cells along a side of a crop; its cell ``cells // 2`` is the window's centre cell.

    Returns:
        (R, 3, cells * stride, cells * stride).
    """
    corners = (windows - windows.new_tensor([0, cells // 2, cells // 2])) * windows.new_tensor(
        [1, stride, stride]
    )
    channels = torch.arange(images.shape[1], device=images.device)[:, None, None]
    return gather_windows(images, corners, channels.expand(-1, cells * stride, cells * stride))


def _equal_sizes(images: Sequence[torch.Tensor]) -> list[list[int]]:
    """Indices of images, those of one size together, in the order in which sizes come first."""
    groups: dict[torch.Size, list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault(image.shape, []).append(i)
    return list(groups.values())


def _sample(
    model: InstanceFCN,
    masks: torch.Tensor,
    options: InstanceFCNOptions,
    ignored: torch.Tensor | None,
) -> WindowSample:
    """Windows of one image with its objects, whose tight boxes decide."""
    rows, columns = (-(-side // model.stride) for side in masks.shape[1:])
    boxes = masks_to_boxes(masks)
    labels = label_windows(boxes, (rows, columns), model.geometry, options.labels)
    if ignored is not None:
        labels = ignore_negatives(labels, ignored.to(labels.device), model.stride)
    return sample_windows(labels, options.sampling)


def _join(samples: Sequence[WindowSample]) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows (R, 3) of a batch, and which of them are positive, (R,) bool."""
    windows, positive = [], []
    for i, sample in enumerate(samples):
        windows.append(torch.nn.functional.pad(sample.cells, (1, 0), value=i))
        number = torch.arange(len(sample.cells), device=sample.cells.device)
        positive.append(number < len(sample.objects))
    return torch.cat(windows), torch.cat(positive)


def _maps(
    model: InstanceFCN, images: torch.Tensor, windows: torch.Tensor, crop_size: int
) -> tuple[ProposalMaps, torch.Tensor]:
    """The maps that windows are read from, and where they are in them."""
    if not crop_size:
        return model(images), windows
    cells = crop_size // model.stride
    crops = crop_windows(images, windows, model.stride, cells)
    number = torch.arange(len(windows), device=windows.device)
    centre = torch.full_like(number, cells // 2)
    return model(crops), torch.stack([number, centre, centre], dim=1)
