"""What a backbone offers. May use: torch."""

from __future__ import annotations

from abc import ABCMeta, abstractmethod
from typing import Any

from torch import nn

from detectron2.layers import ShapeSpec


class Backbone(nn.Module, metaclass=ABCMeta):
    """Maps images (N, C, H, W) to a dict of feature maps.

    Subclasses set ``_out_features`` (names), ``_out_feature_channels`` and
    ``_out_feature_strides`` (by name), or override ``output_shape``.
    """

    _out_features: list[str]
    _out_feature_channels: dict[str, int]
    _out_feature_strides: dict[str, int]

    @abstractmethod
    def forward(self, *args: Any) -> Any:
        """Name to feature map."""

    @property
    def size_divisibility(self) -> int:
        """What the image's height and width must be multiples of; 0 where anything will do."""
        return 0

    @property
    def padding_constraints(self) -> dict[str, int]:
        """Optional "size_divisibility" and "square_size" for ``ImageList.from_tensors``."""
        return {}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each feature map that ``forward`` returns."""
        return {
            name: ShapeSpec(
                channels=self._out_feature_channels[name], stride=self._out_feature_strides[name]
            )
            for name in self._out_features
        }
