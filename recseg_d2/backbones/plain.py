"""Encoders with one map an octave, from stride 2 on, as Detectron2 backbones."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone

from recseg_d2.config import add_node, read_options
from recseg_d2.layers.efficientnet import EfficientNetLite
from recseg_d2.layers.residual_encoder import ResidualEncoder, ResidualEncoderOptions
from recseg_d2.layers.small_encoder import SmallEncoder, SmallEncoderOptions
from recseg_d2.layers.vgg import VGG16


class _ByStride:
    """Gives an encoder's list of maps the names s2, s4, s8 ..., by their strides."""

    widths: Sequence[int]

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, channels, H, W) -> features by name, finest first."""
        features = super().forward(image)  # type: ignore[misc]
        return dict(zip(self._strides(), features, strict=True))

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each feature."""
        named = zip(self._strides().items(), self.widths, strict=True)
        return {name: ShapeSpec(channels=width, stride=stride) for (name, stride), width in named}

    def _strides(self) -> dict[str, int]:
        return {f"s{2**k}": 2**k for k in range(1, len(self.widths) + 1)}


class SmallEncoderBackbone(_ByStride, SmallEncoder, Backbone):  # type: ignore[misc]
    """The small encoder."""


class VGG16Backbone(_ByStride, VGG16, Backbone):  # type: ignore[misc]
    """VGG-16, with features s2 to s32."""


class ResidualEncoderBackbone(_ByStride, ResidualEncoder, Backbone):  # type: ignore[misc]
    """The residual encoder."""


class EfficientNetLiteBackbone(_ByStride, EfficientNetLite, Backbone):  # type: ignore[misc]
    """EfficientNet-Lite0, with features s2 to s32."""


add_node("MODEL.RESIDUAL_ENCODER", ResidualEncoderOptions)


@BACKBONE_REGISTRY.register()
def build_residual_encoder_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """The residual encoder of MODEL.RESIDUAL_ENCODER."""
    options = read_options(cfg, ResidualEncoderOptions)
    return ResidualEncoderBackbone(options, input_shape.channels or 3)


@BACKBONE_REGISTRY.register()
def build_efficientnet_lite0_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """EfficientNet-Lite0 with the names of the distributed ImageNet weights."""
    return EfficientNetLiteBackbone(input_shape.channels or 3)


add_node("MODEL.SMALL_ENCODER", SmallEncoderOptions)


@BACKBONE_REGISTRY.register()
def build_small_encoder_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """The small encoder of MODEL.SMALL_ENCODER."""
    options = read_options(cfg, SmallEncoderOptions)
    return SmallEncoderBackbone(options, input_shape.channels or 3)


@BACKBONE_REGISTRY.register()
def build_vgg16_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """VGG-16 with torchvision's state-dict names."""
    return VGG16Backbone(input_shape.channels or 3)
