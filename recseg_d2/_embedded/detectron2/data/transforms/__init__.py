"""fvcore's transforms, the one on Pillow, and the random augmentations that make them."""
# ruff: noqa: F403

from fvcore.transforms.transform import *
from fvcore.transforms.transform import Transform as Transform
from fvcore.transforms.transform import TransformList as TransformList

from .augmentation import *
from .augmentation_impl import *
from .transform import *
