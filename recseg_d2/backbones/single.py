"""Backbones with one, fine feature map, for proposals."""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from torch import nn

from recseg_d2.layers.small_pyramid import SmallPyramid
from recseg_d2.layers.vgg import Conv5VGG16, torchvision_name


class Conv5VGG16Backbone(Conv5VGG16, Backbone):
    """VGG-16 up to conv5_3, the name of its only feature."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """(B, 3, H, W) -> {"conv5_3": (B, 512, H / stride, W / stride)}."""
        return {"conv5_3": Conv5VGG16.forward(self, image)}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride."""
        return {"conv5_3": ShapeSpec(channels=self.width, stride=self.stride)}

    def freeze(self, freeze_at: int) -> Conv5VGG16Backbone:
        """Stop training the first stages: 1 is conv1, 2 also conv2, and so on."""
        stage = 1
        for layer in self.features:
            if stage <= freeze_at:
                layer.requires_grad_(False)
            stage += isinstance(layer, nn.MaxPool2d)
        return self


class SmallPyramidBackbone(SmallPyramid, Backbone):
    """The small pyramid; its only feature is named "pyramid"."""

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:  # type: ignore[override]
        """(B, 3, H, W) -> {"pyramid": (B, width, H / stride, W / stride)}."""
        return {"pyramid": SmallPyramid.forward(self, image)}

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride."""
        return {"pyramid": ShapeSpec(channels=self.width, stride=self.stride)}


@BACKBONE_REGISTRY.register()
def build_vgg16_conv5_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """VGG-16 at MODEL.VGG16.STRIDE (8 or 16), with torchvision's state-dict names."""
    model = Conv5VGG16Backbone(input_shape.channels or 3, cfg.MODEL.VGG16.STRIDE)
    return model.freeze(cfg.MODEL.BACKBONE.FREEZE_AT)


@BACKBONE_REGISTRY.register()
def build_small_pyramid_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """The small pyramid of MODEL.SMALL_PYRAMID."""
    node = cfg.MODEL.SMALL_PYRAMID
    return SmallPyramidBackbone(
        node.WIDTHS, node.BLOCKS, node.OUT_WIDTH, node.STRIDE, input_shape.channels or 3
    )


def accept_imagenet_names(model: nn.Module) -> None:
    """Let a model that holds a VGG-16 load the usual ImageNet weights as they are.

    Whenever it loads a state dict, names of torchvision's ("features.0.weight") and of Caffe's
    weights ("conv1_1.weight", "conv1_1_w") become those of the model's own VGG-16; names that the
    model has are left alone. Models without a VGG-16 are not changed.

    Args:
        model: the whole model, which checkpoints are loaded into.
    """
    prefixes = [n for n, module in model.named_modules() if isinstance(module, Conv5VGG16)]
    if not prefixes:
        return
    prefix = f"{prefixes[0]}." if prefixes[0] else ""

    def rename(state: dict[str, Any], *_: Any) -> None:
        for name in [n for n in state if n.startswith(("features.", "conv"))]:
            state.setdefault(prefix + torchvision_name(name), state.pop(name))

    model._register_load_state_dict_pre_hook(rename)
