"""Backbones with one, fine feature map, for proposals."""

from __future__ import annotations

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from torch import nn

from recseg_d2.config import add_node, read_options
from recseg_d2.layers.small_fpn import SmallFPN, SmallFPNOptions
from recseg_d2.layers.vgg import Conv5VGG16, Conv5VGG16Options


class Conv5VGG16Backbone(Conv5VGG16, Backbone):
    """VGG-16 up to conv5_3, the name of its only feature."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """(B, 3, H, W) -> {"conv5_3": (B, 512, H / stride, W / stride)}."""
        return {"conv5_3": Conv5VGG16.forward(self, image)}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of the feature map by its name."""
        return {"conv5_3": ShapeSpec(channels=self.width, stride=self.stride)}

    def freeze(self, freeze_at: int) -> Conv5VGG16Backbone:
        """Stop training the first stages: 1 is conv1, 2 also conv2, and so on."""
        stage = 1
        for layer in self.features:
            if stage <= freeze_at:
                layer.requires_grad_(False)
            stage += isinstance(layer, nn.MaxPool2d)
        return self


class SmallFPNBackbone(SmallFPN, Backbone):
    """The small FPN-style encoder; its one feature is named as FPN's are, "p2" at stride 4."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """(B, 3, H, W) -> {"p2": (B, width, H / stride, W / stride)}."""
        return {self._name: SmallFPN.forward(self, image)}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of the feature map by its name."""
        return {self._name: ShapeSpec(channels=self.width, stride=self.stride)}

    @property
    def _name(self) -> str:
        return f"p{self.stride.bit_length() - 1}"


add_node("MODEL.VGG16", Conv5VGG16Options)


@BACKBONE_REGISTRY.register()
def build_vgg16_conv5_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """VGG-16 at MODEL.VGG16.STRIDE (8 or 16), with torchvision's state-dict names."""
    options = read_options(cfg, Conv5VGG16Options)
    model = Conv5VGG16Backbone(options, input_shape.channels or 3)
    return model.freeze(cfg.MODEL.BACKBONE.FREEZE_AT)


add_node("MODEL.SMALL_FPN", SmallFPNOptions)


@BACKBONE_REGISTRY.register()
def build_small_fpn_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """The small FPN-style encoder of MODEL.SMALL_FPN."""
    options = read_options(cfg, SmallFPNOptions)
    return SmallFPNBackbone(options, input_shape.channels or 3)
