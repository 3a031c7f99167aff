"""The model behind the page: it finds all objects of an image, or the one that is pointed at."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from threading import Lock

import numpy as np
from detectron2.config import CfgNode
from detectron2.structures import Instances

from recseg_d2.data.inputs import ImageReader
from recseg_d2.engine.predictor import Predictor
from recseg_d2.engine.thresholds import score_thresh, set_score_thresh

_POINTING = "object_at"  # the method of models that can be asked for the object at a place
_KEPT = 3  # models with other settings that are kept; each takes the memory of its weights


class Finder:
    """One model with settings that each call chooses; calls of several threads take turns.

    Args:
        cfg: a complete config with ``MODEL.WEIGHTS``; it is not changed.

    Attributes:
        score: least score of an object that the config has, 0 to 1.
        scale: what the config magnifies images by; None for models that work at one size.

    Raises:
        UserError: as ``Predictor``.
    """

    def __init__(self, cfg: CfgNode) -> None:
        self._cfg = cfg.clone()
        self.score = score_thresh(cfg)
        self.scale = float(cfg.INPUT.SCALE) if cfg.INPUT.RESIZE == "scale" else None
        self._reader = ImageReader(cfg)
        self._lock = Lock()
        self._predictor = lru_cache(_KEPT)(self._load)
        self.can_point = hasattr(self._predictor(self.score, self.scale).model, _POINTING)

    def read(self, path: Path) -> np.ndarray:
        """An image file as the model takes it, (H, W, C) in BGR order.

        Raises:
            UserError: as ``ImageReader.read``.
        """
        return self._reader.read(path)

    def find(self, image: np.ndarray, score: float, scale: float | None) -> Instances:
        """All objects of an image.

        Args:
            image: what ``read`` returned.
            score: least score of an object, 0 to 1.
            scale: what the image is magnified by; None for models that work at one size.

        Returns:
            Instances on the CPU, with masks of the image's size.
        """
        with self._lock:
            return next(self._predictor(score, scale)([image]))

    def object_at(
        self, image: np.ndarray, place: tuple[float, float], labels: np.ndarray, scale: float | None
    ) -> Instances:
        """The object at a place, of a model for which ``can_point`` is true.

        Args:
            image: what ``read`` returned, (H, W, C).
            place: x and y in pixels.
            labels: (H, W) integer label map of what is known already; 0 is free.
            scale: as for ``find``.

        Returns:
            Instances on the CPU: one, or none where the model sees nothing there.
        """
        with self._lock:
            predictor = self._predictor(self.score, scale)
            point: Callable[..., Instances] = getattr(predictor.model, _POINTING)
            return point(predictor.model_input(image), place, labels).to("cpu")

    def _load(self, score: float, scale: float | None) -> Predictor:
        cfg = self._cfg.clone()
        cfg.defrost()
        set_score_thresh(cfg, score)
        if scale is not None:
            cfg.INPUT.SCALE = scale
        return Predictor(cfg)
