"""Convolutions, normalisation and shapes."""

from .batch_norm import FrozenBatchNorm2d, get_norm
from .blocks import CNNBlockBase, Conv2d, ShapeSpec

__all__ = ["CNNBlockBase", "Conv2d", "FrozenBatchNorm2d", "ShapeSpec", "get_norm"]
