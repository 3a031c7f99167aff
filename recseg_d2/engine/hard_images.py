"""Images are drawn more often where the model is worse, and a resumed run draws the same ones."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from detectron2.engine import HookBase
from detectron2.utils import comm
from torch import nn
from torch.utils.hooks import RemovableHandle

from recseg_d2.data.loader import IMAGE_NUMBER, POSITION
from recseg_d2.engine.hooks import unwrap
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

_MOVES_BY = 0.25  # of the way to what was seen last, each time that an image is seen
_UNSEEN = 0.7  # the IoU that an image is taken to have before
_LEAST = 0.12  # weight of an image whose objects all fit


class HardImages(HookBase):
    """Follows how well the objects of each image are segmented, and draws images by that.

    An image's weight is 0.12 + 1 - IoU, of the running mean of the IoUs that the model reports of
    it. Weights are fixed for a period of iterations, so that a stream of samples goes on after a
    checkpoint as if there had been none, whatever workers have read ahead.

    Args:
        model: its ``image_iou`` is, after each forward pass in training, a tensor with a value for
            each image of the batch, NaN where there was nothing to compare; may be in a distributed
            wrapper.
        period: iterations, at least 1.
        draw: called with the iteration that comes after a period and the weights; takes care that
            its images are drawn by them.

    Raises:
        UserError: the model does not report how well it does.
    """

    def __init__(
        self, model: nn.Module, period: int, draw: Callable[[int, Mapping[int, float]], None]
    ) -> None:
        self._model = unwrap(model)
        if not hasattr(self._model, "image_iou"):
            raise UserError(
                f"SOLVER.HARD_IMAGES_PERIOD is {period}, and {type(self._model).__name__} does not "
                "report how well it does on each image; expected 0 (images are drawn alike)."
            )
        self._period = period
        self._draw = draw
        self._running: dict[int, float] = {}
        self._noted: dict[int, tuple[int, float]] = {}
        self._handle: RemovableHandle | None = None
        self.weights: dict[int, float] = {}  # of this period, by the image's number

    def before_train(self) -> None:
        """Listen to forward passes from here on."""
        self._handle = self._model.register_forward_hook(self._note)

    def after_train(self) -> None:
        """Leave the model as it was before."""
        if self._handle is not None:
            self._handle.remove()

    def _note(self, model: Any, inputs: Any, outputs: Any) -> None:
        if model.training:
            for record, iou in zip(inputs[0], model.image_iou.tolist(), strict=True):
                self._noted[record[POSITION]] = (record[IMAGE_NUMBER], iou)

    def after_step(self) -> None:
        """Take in what all processes saw, in the order of the stream; draw anew after a period."""
        seen = {key: value for part in comm.all_gather(self._noted) for key, value in part.items()}
        self._noted = {}
        for _, (image, iou) in sorted(seen.items()):
            if not math.isnan(iou):
                before = self._running.get(image, _UNSEEN)
                self._running[image] = before + _MOVES_BY * (iou - before)
        done = self.trainer.iter + 1
        if done % self._period == 0 and done < self.trainer.max_iter:
            self.weights = {image: _weight(iou) for image, iou in self._running.items()}
            self._draw(done, self.weights)
            values = sorted(self.weights.values()) or [1.0]
            logger.info(
                "Images are drawn by how well the model does on each: the hardest %.1f times as "
                "often as the easiest.",
                values[-1] / values[0],
            )

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run goes on as if never stopped."""
        return {"running": dict(self._running), "weights": dict(self.weights)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint."""
        self._running, self.weights = dict(state["running"]), dict(state["weights"])


def _weight(iou: float) -> float:
    return _LEAST + 1 - iou
