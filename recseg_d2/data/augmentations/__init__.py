"""Augmentations by name, as Detectron2's."""

from __future__ import annotations

from collections.abc import Callable

from detectron2.config import CfgNode
from detectron2.data import transforms as T

from recseg_d2.config import read_options
from recseg_d2.config.options import InputOptions
from recseg_d2.data.augmentations.color import RandomColor
from recseg_d2.data.augmentations.geometry import (
    RandomAffine,
    RandomSimilarityCrop,
    RandomTranspose,
)
from recseg_d2.data.augmentations.intensity import RandomIntensity

_BUILDERS: dict[str, Callable[[InputOptions], T.Augmentation]] = {
    "hflip": lambda options: T.RandomFlip(prob=0.5, horizontal=True, vertical=False),
    "vflip": lambda options: T.RandomFlip(prob=0.5, horizontal=False, vertical=True),
    "transpose": lambda options: RandomTranspose(),
    "affine": lambda options: RandomAffine(options.affine),
    "color": lambda options: RandomColor(),
    "similarity_crop": lambda options: RandomSimilarityCrop(options.similarity_crop),
    "intensity_jitter": lambda options: RandomIntensity(options.intensity_jitter),
}


def build_augmentations(cfg: CfgNode) -> list[T.Augmentation]:
    """The augmentations that INPUT.AUGS names, in that order."""
    options = read_options(cfg, InputOptions)
    return [_BUILDERS[name](options) for name in options.augs]
