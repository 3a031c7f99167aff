"""The objects of an image layer, as napari's window asks for them."""

from __future__ import annotations

from argparse import Namespace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np

from recseg_d2.cli.model_options import load_model_config
from recseg_d2.engine.predictor import Predictor
from recseg_d2.engine.stacks import predict_stack
from recseg_d2.errors import UserError
from recseg_d2.postprocess import keep_whole, label_map_of
from recseg_d2.postprocess.stacks import keep_whole_volumes

if TYPE_CHECKING:
    import napari.layers
    import napari.types


def predict_objects(
    image: napari.layers.Image,
    weights: str = "recseg://nuclei",
    min_area: int = 0,
    drop_border: bool = False,
    link_iou: float = 0.25,
) -> napari.types.LayerDataTuple:
    """Predict the objects of a layer; those of a stack are linked over its slices.

    napari makes a widget of this function: its arguments are what can be chosen.

    Args:
        image: a layer of (H, W) or, with slices, (P, H, W), grey or of colours.
        weights: a checkpoint, the output folder of a training run, or recseg://NAME.
        min_area: fewest pixels of an object, of a stack voxels.
        drop_border: whether objects that the border cuts are left out.
        link_iou: objects of two slices of this IoU or more are one; above 0, up to 1.

    Returns:
        A labels layer as napari takes it: (data, attributes, "labels").

    Raises:
        UserError: the layer has more dimensions, or the model cannot take its values.
    """
    if not 0 < link_iou <= 1:
        raise UserError(f"link_iou is {link_iou}; expected above 0 and up to 1.")
    predictor = _predictor(weights)
    pages = _pages(image)
    given = predictor.reader.bgr(f"layer {image.name}", pages)
    if np.ndim(image.data) - bool(image.rgb) == 2:
        (found,) = predictor(given)
        labels = label_map_of(keep_whole(found, min_area, drop_border))
    else:
        labels = predict_stack(predictor, given, link_iou)
        labels = keep_whole_volumes(labels, min_area, drop_border)
    scale: Any = image.scale
    return labels, {"name": f"{image.name} objects", "scale": scale}, "labels"


def _pages(image: napari.layers.Image) -> np.ndarray:
    """(P, H, W, C) pixels of a layer."""
    pixels = np.asarray(image.data)
    if image.rgb:
        pixels = pixels[..., :3]
    else:
        pixels = pixels[..., None]
    if pixels.ndim not in (3, 4):  # (H, W, C), (P, H, W, C)
        raise UserError(
            f"layer {image.name}: found {pixels.ndim - 1} dimensions, expected rows and columns, "
            "or slices of them; choose one channel and time."
        )
    return pixels.reshape(-1, *pixels.shape[-3:])


@lru_cache(maxsize=1)
def _predictor(weights: str) -> Predictor:
    """The model that was asked for last stays in memory."""
    chosen = Namespace(weights=weights, config_file=None, score_thresh=None, opts=[])
    return Predictor(load_model_config(chosen))
