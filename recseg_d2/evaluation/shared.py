"""What every evaluator does: gather from processes, tell of gaps, check sizes.

Shape letters: K masks, H W pixels of an image.
"""

from __future__ import annotations

import logging
from typing import Any, TypeVar

import numpy as np
from detectron2.utils import comm

from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth

Part = TypeVar("Part")


def gather_parts(part: Part, distributed: bool) -> list[Part]:
    """What each process has, in the order of ranks in the main process; nothing in the others.

    Args:
        part: of this process; has to be picklable.
        distributed: whether to ask the others; all processes have to call then.
    """
    if not distributed:
        return [part]
    comm.synchronize()
    return comm.gather(part, dst=0)


def warn_of_gaps(logger: logging.Logger, dataset_name: str, found: int, truth: GroundTruth) -> None:
    """Say so where fewer images were predicted than the data set has."""
    if found < len(truth):
        logger.warning(
            "%s: found predictions for %d of %d images; the others are left out.",
            dataset_name, found, len(truth),
        )  # fmt: skip


def masks_of_size(masks: Any, record: dict[str, Any]) -> np.ndarray:
    """Predicted masks as an array, of the size of their image.

    Args:
        masks: (K, H, W), anything that numpy reads; with K = 0 of any size.
        record: the image's standard dict.

    Returns:
        (K, H, W) bool.

    Raises:
        UserError: the masks are of another size than the image.
    """
    array = np.asarray(masks, dtype=bool)
    shape = (record["height"], record["width"])
    if len(array) and array.shape[1:] != shape:
        raise UserError(
            f"{record['file_name']}: found predicted masks of {array.shape[2]}x{array.shape[1]} "
            f"pixels, expected the image's {shape[1]}x{shape[0]}; let the model return masks at "
            'the dict\'s "height" and "width".'
        )
    return array.reshape(-1, *shape)
