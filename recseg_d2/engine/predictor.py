"""A trained model over any number of images, several at a time.

Detectron2's ``DefaultPredictor`` takes one array at a time; ``Predictor`` takes paths and arrays,
batches them, and gives the same numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import transforms as T
from detectron2.modeling import build_model
from detectron2.structures import Instances
from torch import nn

from recseg_d2.data.inputs import ImageReader
from recseg_d2.engine.finite import FiniteOutputs, check_finite_weights
from recseg_d2.engine.flips import with_flips
from recseg_d2.engine.weights import load_weights
from recseg_d2.errors import UserError

Item = TypeVar("Item")


class Predictor:
    """Predict the instances of images with the model and the weights that a config names.

    Example:
        >>> predictor = Predictor(cfg, batch_size=8)  # doctest: +SKIP
        >>> for path, instances in zip(paths, predictor(paths)):  # doctest: +SKIP
        ...     print(path, len(instances))

    Args:
        cfg: a complete config with ``MODEL.WEIGHTS``; it is not changed.
        batch_size: images that go through the model together, 1 or more.

    Raises:
        UserError: ``batch_size`` is below 1, or the weights are missing, unreadable, not finite,
            or not those of the config's model.
    """

    def __init__(self, cfg: CfgNode, batch_size: int = 1) -> None:
        if batch_size < 1:
            raise UserError(f"Batch size is {batch_size}; expected 1 or more.")
        self.batch_size = batch_size
        self.cfg = cfg.clone()
        self.model = build_model(self.cfg)
        self.model.eval()
        load_weights(self.model, self.cfg.MODEL.WEIGHTS)
        check_finite_weights(self.model, self.cfg.MODEL.WEIGHTS)
        self._finite = FiniteOutputs(self.model)
        self._run = with_flips(self.model, self.cfg)
        sizes = [self.cfg.INPUT.MIN_SIZE_TEST, self.cfg.INPUT.MIN_SIZE_TEST]
        self.reader = ImageReader(self.cfg)
        self._resize = T.ResizeShortestEdge(sizes, self.cfg.INPUT.MAX_SIZE_TEST)

    @property
    def ordered(self) -> bool:
        """Whether instances come in the order in which the model found them."""
        return self._run is self.model and getattr(self.model, "ordered", False)

    def __call__(self, images: Iterable[str | Path | np.ndarray]) -> Iterator[Instances]:
        """Predictions in the order of the images; at most ``batch_size`` images are read ahead.

        Args:
            images: paths of image files, or arrays in BGR order: (H, W, 3) uint8; where
                INPUT.INTENSITY.KIND is not "stored" (H, W, C) of any type of number.

        Yields:
            for each image its instances on the CPU, with masks at the image's own size.

        Raises:
            UserError: a file cannot be read as an image, or an array is of another kind.
        """
        for output in self.outputs(images):
            yield output["instances"].to("cpu")

    def outputs(
        self, images: Iterable[str | Path | np.ndarray], with_trace: bool = False
    ) -> Iterator[dict[str, Any]]:
        """The same as the model puts it out, and where asked for how the model came by it.

        Args:
            images: paths of image files, or (H, W, 3) uint8 BGR arrays.
            with_trace: whether outputs get a "trace", which figures show, where the model leaves
                one; flipped views have none, so TEST.FLIPS has no effect then.

        Yields:
            for each image a dict of "instances", and what else the model has for it.

        Raises:
            UserError: as for a call, or what the model computes is not finite.
        """
        run = traced_inference(self.model) if with_trace else self._run
        for batch in batched(images, self.batch_size):
            with torch.no_grad():
                outputs = run([self.model_input(image) for image in batch])
            self._finite.check(", ".join(map(_named, batch)))
            yield from outputs

    def model_input(self, image: str | Path | np.ndarray) -> dict[str, Any]:
        """Detectron2's input dict of one image, given as for a call.

        Raises:
            UserError: as for a call.
        """
        if isinstance(image, np.ndarray):
            array = self.reader.from_array(image)
        else:
            array = self.reader(image)
        height, width = array.shape[:2]
        array = self._resize.get_transform(array).apply_image(array)
        tensor = torch.as_tensor(np.ascontiguousarray(array.transpose(2, 0, 1), np.float32))
        return {"image": tensor, "height": height, "width": width}


def _named(image: str | Path | np.ndarray) -> str:
    return "an image" if isinstance(image, np.ndarray) else str(image)


def traced_inference(model: nn.Module) -> Callable[[list[dict[str, Any]]], list[dict[str, Any]]]:
    """The model's inference with a "trace" for figures in each output, where it has one."""
    return getattr(model, "traced_inference", model)


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, the last one maybe shorter."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
