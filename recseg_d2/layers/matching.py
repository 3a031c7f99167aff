"""Which prediction answers for which object.

Shape letters as in ``recseg_d2.structures``.
Source: Salvador et al. 2017, section 3.3; Ren & Zemel 2017, eq. 22 to 24.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy.optimize import linear_sum_assignment


def soft_iou_matrix(
    probabilities: torch.Tensor, masks: torch.Tensor, eps: float = 1e-6
) -> torch.Tensor:
    """Soft intersection over union of every prediction with every object.

    ``IoU(p, y) = <p, y> / (|p| + |y| - <p, y> + eps)``, all intersections as one matrix product.

    Args:
        probabilities: (B, T, H, W) in [0, 1], the predicted mask of each of T steps.
        masks: (B, N, H, W), 0 or 1, the masks of N true objects.
        eps: added to the union, in pixels; it keeps an empty pair at 0 instead of 0/0.

    Returns:
        (B, T, N) in [0, 1], differentiable in the probabilities.
    """
    flat_p, flat_y = probabilities.flatten(2), masks.flatten(2).to(probabilities.dtype)
    intersection = flat_p @ flat_y.transpose(1, 2)
    union = flat_p.sum(2)[:, :, None] + flat_y.sum(2)[:, None, :] - intersection
    return intersection / (union + eps)


@torch.no_grad()
def assign(similarity: torch.Tensor, counts: torch.Tensor, in_order: bool = False) -> torch.Tensor:
    """One-to-one assignment of the largest total similarity (Hungarian algorithm).

    Only the first n predictions of an image with n objects take part, as the papers have it: what
    comes after them is to be stopped, not matched. With fewer predictions than objects, all the
    objects compete for them.

    Args:
        similarity: (B, T, N) of each of T predictions to each of N objects, the higher the better.
        counts: (B,) int64, objects in each image; these come first along N.
        in_order: step t answers for object t instead, whatever their similarity.

    Returns:
        (B, T) int64 on the device of ``similarity``: index of the matched object, or -1.

    A similarity that is not a number, as when training has diverged, is the worst there is; the
    loss made of it is none either, which whoever trains finds.
    """
    if in_order:
        step = torch.arange(similarity.shape[1], device=similarity.device)
        return torch.where(step < counts[:, None], step, -1)
    # one transfer, so that the host waits for the device once
    numbers = torch.cat([similarity.detach().float().flatten(1), counts[:, None]], dim=1)
    flat, sizes = np.split(numbers.cpu().numpy(), [-1], axis=1)
    table = flat.reshape(similarity.shape)
    table = np.nan_to_num(table, nan=float(np.finfo(table.dtype).min))
    result = torch.full(similarity.shape[:2], -1, dtype=torch.int64)
    for image, n in enumerate(sizes[:, 0].astype(int)):
        block = table[image, : min(n, table.shape[1]), :n]
        steps, objects = linear_sum_assignment(block, maximize=True)
        result[image, torch.from_numpy(steps)] = torch.from_numpy(objects)
    return result.to(similarity.device)


def gather_objects(values: torch.Tensor, assignment: torch.Tensor) -> torch.Tensor:
    """Values of the matched objects, in the order of the steps.

    Args:
        values: (B, N, ...), a value for each of N objects.
        assignment: (B, T) int64 from ``assign``, the object of each of T predictions.

    Returns:
        (B, T, ...); where nothing is matched, the values of object 0, to be masked by the caller.
    """
    index = assignment.clamp(min=0).view(*assignment.shape, *[1] * (values.dim() - 2))
    return values.gather(1, index.expand(*assignment.shape, *values.shape[2:]))
