"""Encoders with one map an octave, from stride 2 on, as Detectron2 backbones."""

from __future__ import annotations

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone

from recseg_d2.config import add_node, read_options
from recseg_d2.layers.efficientnet import EfficientNetLite
from recseg_d2.layers.residual_encoder import ResidualEncoder, ResidualEncoderOptions
from recseg_d2.layers.small_encoder import SmallEncoder, SmallEncoderOptions
from recseg_d2.layers.vgg import VGG16


class SmallEncoderBackbone(SmallEncoder, Backbone):
    """The small encoder; features are named s2, s4, s8 ... by their stride."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """(B, 3, H, W) -> features by name."""
        return _by_stride(SmallEncoder.forward(self, image))

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each feature."""
        return _shapes(self.widths)


class VGG16Backbone(VGG16, Backbone):
    """VGG-16; features are named s2 to s32 by their stride."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """(B, 3, H, W) -> features by name."""
        return _by_stride(VGG16.forward(self, image))

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each feature."""
        return _shapes(self.widths)


class ResidualEncoderBackbone(ResidualEncoder, Backbone):
    """The residual encoder; features are named s2, s4, s8 ... by their stride."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """(B, channels, H, W) -> features by name."""
        return _by_stride(ResidualEncoder.forward(self, image))

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each feature."""
        return _shapes(self.widths)


class EfficientNetLiteBackbone(EfficientNetLite, Backbone):
    """EfficientNet-Lite0; features are named s2 to s32 by their stride."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """(B, 3, H, W) -> features by name."""
        return _by_stride(EfficientNetLite.forward(self, image))

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each feature."""
        return _shapes(tuple(self.widths))


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


def _by_stride(features: list[torch.Tensor]) -> dict[str, torch.Tensor]:
    return {f"s{2 ** (i + 1)}": f for i, f in enumerate(features)}


def _shapes(widths: tuple[int, ...]) -> dict[str, ShapeSpec]:
    return {
        f"s{2 ** (i + 1)}": ShapeSpec(channels=width, stride=2 ** (i + 1))
        for i, width in enumerate(widths)
    }
