"""Losses that are not finite: named, stored for replay, and stopped at or skipped."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from detectron2.structures import BitMasks, Instances
from detectron2.utils import comm
from torch import nn

from recseg_d2.engine.checkpoints import save_whole
from recseg_d2.engine.hooks import unwrap
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

MOST_SKIPPED = 10  # iterations in a row; then it is the model that is broken, not a batch


class NonfiniteLoss(UserError):
    """Training cannot go on: a loss is infinite or not a number."""


class NonfiniteGuard:
    """Looks at the losses of every iteration; all processes decide alike.

    Args:
        folder: the folder that batches are stored in, as ``nonfinite_<iteration>.pth``.
        skip: whether training goes on without the iteration.
    """

    def __init__(self, folder: str | Path, skip: bool) -> None:
        self._folder = Path(folder)
        self._skip = skip
        self._in_a_row = 0
        self._buffers: dict[str, torch.Tensor] = {}

    def begin(self, model: nn.Module) -> None:
        """Keep the statistics of norms, which a forward pass that is skipped spoils."""
        if self._skip:
            self._buffers = {k: v.clone() for k, v in unwrap(model).named_buffers()}

    def passes(
        self,
        losses: Mapping[str, torch.Tensor],
        batch: Sequence[dict[str, Any]],
        model: nn.Module,
        iteration: int,
    ) -> bool:
        """Whether the iteration may change the weights.

        Args:
            losses: the loss terms, scalars by name.
            batch: the batch of this process that they are of.
            model: the model as it was in the forward pass.
            iteration: the iteration, from 0.

        Raises:
            NonfiniteLoss: not, and training is to stop.
        """
        values = {name: float(value) for name, value in losses.items()}
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        found = comm.all_gather((bad, [str(x.get("file_name", "?")) for x in batch]))
        if not any(terms for terms, _ in found):
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        if bad:
            store_batch(self._file(iteration), batch, model, iteration)
        message = self._message(found, iteration)
        if not self._skip or self._in_a_row > MOST_SKIPPED:
            raise NonfiniteLoss(message)
        if comm.is_main_process():
            logger.warning("%s The iteration is skipped.", message)
        for name, value in unwrap(model).named_buffers():
            value.copy_(self._buffers[name])
        return False

    def _message(self, found: Sequence[tuple[dict[str, float], list[str]]], iteration: int) -> str:
        terms = {name: value for bad, _ in found for name, value in bad.items()}
        images = [name for bad, names in found if bad for name in names]
        listed = ", ".join(f"{name} is {value}" for name, value in terms.items())
        return (
            f"Iteration {iteration}: {listed}, expected finite losses; of the images "
            f"{', '.join(images)}. The batch and the weights are stored in {self._folder} as "
            f"nonfinite_{iteration:07d}.pth. Lower SOLVER.BASE_LR, clip gradients "
            "(SOLVER.CLIP_GRADIENTS), or set SOLVER.NONFINITE skip."
        )

    def _file(self, iteration: int) -> Path:
        rank = f"_rank{comm.get_rank()}" if comm.get_rank() else ""
        return self._folder / f"nonfinite_{iteration:07d}{rank}.pth"


def store_batch(
    path: Path, batch: Sequence[dict[str, Any]], model: nn.Module, iteration: int
) -> None:
    """Store a batch of training, as plain tensors, and the weights that met it."""
    plain = []
    for record in batch:
        kept: dict[str, Any] = {
            k: v for k, v in record.items() if isinstance(v, torch.Tensor | str | int | float)
        }
        instances = record["instances"]
        masks = instances.gt_masks.tensor if len(instances) else None
        kept["instances"] = {
            "image_size": tuple(instances.image_size),
            "gt_classes": instances.gt_classes,
            "gt_masks": masks,
        }
        plain.append(kept)
    state = {"iteration": iteration, "batch": plain, "model": unwrap(model).state_dict()}
    save_whole(state, path)


def load_batch(path: str | Path) -> list[dict[str, Any]]:
    """A stored batch, to be given to the model with the file's weights (MODEL.WEIGHTS) again."""
    stored = torch.load(path, weights_only=True, map_location="cpu")
    batch = []
    for record in stored["batch"]:
        own = record["instances"]
        instances = Instances(own["image_size"], gt_classes=own["gt_classes"])
        if own["gt_masks"] is not None:
            instances.gt_masks = BitMasks(own["gt_masks"])
        batch.append({**record, "instances": instances})
    return batch
