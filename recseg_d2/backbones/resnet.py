"""Detectron2's ResNet with its stride-2 features kept, and at stride 8."""

from __future__ import annotations

import re
from typing import Any, cast

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from detectron2.modeling.backbone.resnet import BasicStem, ResNet
from torch import nn

FINEST = "conv1"  # name of the features before the max-pool
STRIDE = 8  # of res3


class Stride2ResNet(ResNet):
    """ResNet whose first feature map is the stem's convolution, at stride 2.

    Detectron2's own "stem" output comes after the max-pool, at stride 4; the RSIS decoder needs
    what is before it. Parameters and their names are ResNet's, so its checkpoints load.
    """

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        """(B, 3, H, W) -> features by name, conv1 to res5."""
        x = F.relu(cast(BasicStem, self.stem).conv1(x))
        outputs = {FINEST: x}
        x = F.max_pool2d(x, kernel_size=3, stride=2, padding=1)
        for name, stage in zip(self.stage_names, self.stages, strict=True):
            x = stage(x)
            outputs[name] = x
        return outputs

    def output_shape(self) -> dict[str, ShapeSpec]:
        """Channels and stride of each feature."""
        conv1 = cast(BasicStem, self.stem).conv1
        stem = ShapeSpec(channels=conv1.out_channels, stride=2)
        return {FINEST: stem, **super().output_shape()}


class Stride8ResNet(ResNet):
    """ResNet whose stages after res3 stay at stride 8: their 3x3 convolutions are dilated instead.

    Parameters and their names are ResNet's, so its checkpoints load.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        dilation = 1
        for name, stage in zip(self.stage_names[2:], self.stages[2:], strict=True):
            for block in stage.children():
                dilation = _dilate(block, dilation)
            self._out_feature_strides[name] = STRIDE


def _dilate(block: nn.Module, dilation: int) -> int:
    """Take a block's stride away; what comes after the convolution that had it is dilated more.

    Args:
        block: a residual block of torchvision's or Detectron2's ResNets.
        dilation: dilation of 3x3 convolutions of the block's input in cells; 1 reads neighbours.

    Returns:
        The dilation for what comes after the block.
    """
    if block.shortcut is not None:
        cast(nn.Conv2d, block.shortcut).stride = (1, 1)
    for conv in (m for n, m in block.named_children() if n.startswith("conv")):
        conv = cast(nn.Conv2d, conv)
        factor, conv.stride = conv.stride[0], (1, 1)
        if conv.kernel_size == (3, 3):
            conv.dilation = conv.padding = (dilation, dilation)
        dilation *= factor
    return dilation


@BACKBONE_REGISTRY.register()
def build_resnet_stride2_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """ResNet of MODEL.RESNETS.DEPTH (18, 34, 50, 101 or 152) with all five octaves."""
    stem, stages = _parts(cfg, input_shape)
    names = [f"res{i + 2}" for i in range(len(stages))]
    model = Stride2ResNet(stem, stages, out_features=names)
    return model.freeze(cfg.MODEL.BACKBONE.FREEZE_AT)


@BACKBONE_REGISTRY.register()
def build_resnet_stride8_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """ResNet of MODEL.RESNETS.DEPTH at stride 8, with MODEL.RESNETS.OUT_FEATURES."""
    stem, stages = _parts(cfg, input_shape)
    model = Stride8ResNet(stem, stages, out_features=list(cfg.MODEL.RESNETS.OUT_FEATURES))
    return model.freeze(cfg.MODEL.BACKBONE.FREEZE_AT)


def detectron2_name(name: str) -> str:
    """A parameter's name in torchvision's ResNets ("layer1.0.bn2.bias") as Detectron2's.

    Other names stay as they are.
    """
    if re.match(r"(conv1|bn1)\.", name):
        name = f"stem.{name}"
    name = re.sub(r"^layer([1-4])\.", lambda match: f"res{int(match[1]) + 1}.", name)
    name = re.sub(r"\bbn([1-3])\.", r"conv\1.norm.", name)
    return name.replace("downsample.0.", "shortcut.").replace("downsample.1.", "shortcut.norm.")


def _parts(cfg: CfgNode, input_shape: ShapeSpec) -> tuple[BasicStem, Any]:
    node = cfg.MODEL.RESNETS
    norm, wide = node.NORM, {}
    if node.DEPTH >= 50:
        wide = {"stride_in_1x1": node.STRIDE_IN_1X1}
    stages = ResNet.make_default_stages(node.DEPTH, norm=norm, **wide)
    return BasicStem(input_shape.channels or 3, node.STEM_OUT_CHANNELS, norm), stages
