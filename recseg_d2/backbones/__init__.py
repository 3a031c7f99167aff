"""Backbones with a feature map an octave, the finest at stride 2, in Detectron2's registry.

May use: detectron2 and ``recseg_d2.layers``.
"""

from recseg_d2.backbones.plain import build_small_encoder_backbone, build_vgg16_backbone
from recseg_d2.backbones.resnet import build_resnet_stride2_backbone

__all__ = [
    "build_resnet_stride2_backbone",
    "build_small_encoder_backbone",
    "build_vgg16_backbone",
]
