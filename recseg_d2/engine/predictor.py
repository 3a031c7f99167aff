"""A trained model over any number of images, several at a time.

Detectron2's ``DefaultPredictor`` takes one array at a time; ``Predictor`` takes paths and arrays,
batches them, and gives the same numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import transforms as T
from detectron2.modeling import build_model
from detectron2.structures import Instances

from recseg_d2.config.device import resolve_device
from recseg_d2.data.image_io import read_bgr
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
        cfg: a complete config with ``MODEL.WEIGHTS``; it is not changed. ``MODEL.DEVICE`` "auto"
            takes the best device there is.
        batch_size: images that go through the model together, 1 or more.

    Raises:
        UserError: ``batch_size`` is below 1, or the weights are missing, unreadable, or not those
            of the config's model.
    """

    def __init__(self, cfg: CfgNode, batch_size: int = 1) -> None:
        if batch_size < 1:
            raise UserError(f"Batch size is {batch_size}; expected 1 or more.")
        self.batch_size = batch_size
        self.cfg = cfg.clone()
        self.cfg.defrost()
        self.cfg.MODEL.DEVICE = str(resolve_device(cfg))
        self.model = build_model(self.cfg)
        self.model.eval()
        load_weights(self.model, self.cfg.MODEL.WEIGHTS)
        sizes = [self.cfg.INPUT.MIN_SIZE_TEST, self.cfg.INPUT.MIN_SIZE_TEST]
        self._resize = T.ResizeShortestEdge(sizes, self.cfg.INPUT.MAX_SIZE_TEST)

    def __call__(self, images: Iterable[str | Path | np.ndarray]) -> Iterator[Instances]:
        """Predictions in the order of the images; at most ``batch_size`` images are read ahead.

        Args:
            images: paths of image files, or arrays (H, W, 3) uint8 in BGR order.

        Yields:
            for each image its instances on the CPU, with masks at the image's own size.

        Raises:
            UserError: a file cannot be read as an image, or an array is of another kind.
        """
        for batch in batched(images, self.batch_size):
            inputs = [self.model_input(image) for image in batch]
            with torch.no_grad():
                outputs = self.model(inputs)
            for output in outputs:
                yield output["instances"].to("cpu")

    def model_input(self, image: str | Path | np.ndarray) -> dict[str, Any]:
        """Detectron2's input dict of one image, given as for a call.

        Raises:
            UserError: as for a call.
        """
        array = image if isinstance(image, np.ndarray) else read_bgr(image)
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3 or array.size == 0:
            raise UserError(
                f"An image given as an array has dtype {array.dtype} and shape {array.shape}; "
                "expected uint8 of shape (H, W, 3) in BGR order."
            )
        height, width = array.shape[:2]
        if self.cfg.INPUT.FORMAT == "RGB":
            array = array[:, :, ::-1]
        array = self._resize.get_transform(array).apply_image(array)
        tensor = torch.as_tensor(array.astype("float32").transpose(2, 0, 1))
        return {"image": tensor, "height": height, "width": width}


def batched(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of ``size`` items, the last one maybe shorter."""
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch
