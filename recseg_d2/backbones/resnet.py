"""Detectron2's ResNet with its stride-2 features kept. May use: detectron2."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, Backbone
from detectron2.modeling.backbone.resnet import BasicStem, ResNet

FINEST = "conv1"  # name of the features before the max-pool


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


@BACKBONE_REGISTRY.register()
def build_resnet_stride2_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> Backbone:
    """ResNet of MODEL.RESNETS.DEPTH (18, 34, 50, 101 or 152) with all five octaves."""
    node = cfg.MODEL.RESNETS
    norm, wide = node.NORM, {}
    if node.DEPTH >= 50:
        wide = {"stride_in_1x1": node.STRIDE_IN_1X1}
    stages = ResNet.make_default_stages(node.DEPTH, norm=norm, **wide)
    stem = BasicStem(input_shape.channels or 3, node.STEM_OUT_CHANNELS, norm)
    names = [f"res{i + 2}" for i in range(len(stages))]
    model = Stride2ResNet(stem, stages, out_features=names)
    return model.freeze(cfg.MODEL.BACKBONE.FREEZE_AT)
