"""The size at which images reach a model, and how many of their objects do.

Chosen by INPUT.RESIZE: models that find objects one at a time at one resolution are given at most
MODEL.SEQUENTIAL.MAX_OBJECTS; fully convolutional ones take any size and any number.
"""

from __future__ import annotations

from detectron2.config import CfgNode
from detectron2.data import transforms as T

from recseg_d2.config import read_options
from recseg_d2.config.options import InputOptions, SequentialOptions
from recseg_d2.data.augmentations.geometry import RandomPadCrop, RandomRelativeSize


def build_resize(cfg: CfgNode, is_train: bool) -> T.Augmentation:
    """The last step of a mapper.

    "working" brings images to MODEL.SEQUENTIAL.IMAGE_SIZE. "shortest_edge" keeps their proportions:
    the shorter side becomes one of INPUT.MIN_SIZE_TRAIN (the scale jitter), or INPUT.MIN_SIZE_TEST
    (0 leaves it as it is), unless the longer one then exceeds INPUT.MAX_SIZE_TRAIN or _TEST.
    Of "scale", images are magnified when they are read, and in training both sides are multiplied
    by one of INPUT.RELATIVE_SIZES here. INPUT.PAD_CROP comes last.
    """
    options = read_options(cfg, InputOptions)
    resize = _resize(cfg, options, is_train)
    if not is_train or not options.pad_crop:
        return resize
    return T.AugmentationList([resize, RandomPadCrop(options.pad_crop)])


def _resize(cfg: CfgNode, options: InputOptions, is_train: bool) -> T.Augmentation:
    given, resize = cfg.INPUT, options.resize
    if resize == "scale":
        return RandomRelativeSize(options.relative_sizes if is_train else (1.0,))
    if resize == "working":
        return T.Resize(read_options(cfg, SequentialOptions).image_size)
    if not is_train:
        return T.ResizeShortestEdge(given.MIN_SIZE_TEST, given.MAX_SIZE_TEST, "choice")
    style = given.MIN_SIZE_TRAIN_SAMPLING
    return T.ResizeShortestEdge(given.MIN_SIZE_TRAIN, given.MAX_SIZE_TRAIN, style)


def working_size(cfg: CfgNode) -> tuple[int, int] | None:
    """Height and width that images are brought to; None: they keep their proportions."""
    if read_options(cfg, InputOptions).resize != "working":
        return None
    return read_options(cfg, SequentialOptions).image_size


def max_instances(cfg: CfgNode) -> int | None:
    """Most objects of an image that a model can use; None: all."""
    if read_options(cfg, InputOptions).resize != "working":
        return None
    return read_options(cfg, SequentialOptions).kept_objects
