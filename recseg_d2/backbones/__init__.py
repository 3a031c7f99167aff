"""Backbones in Detectron2's registry: with a map an octave from stride 2 on, or a single one."""

from recseg_d2.backbones.plain import (
    build_efficientnet_lite0_backbone,
    build_residual_encoder_backbone,
    build_small_encoder_backbone,
    build_vgg16_backbone,
)
from recseg_d2.backbones.resnet import build_resnet_stride2_backbone, build_resnet_stride8_backbone
from recseg_d2.backbones.single import build_small_fpn_backbone, build_vgg16_conv5_backbone

__all__ = [
    "build_efficientnet_lite0_backbone",
    "build_residual_encoder_backbone",
    "build_resnet_stride2_backbone",
    "build_resnet_stride8_backbone",
    "build_small_encoder_backbone",
    "build_small_fpn_backbone",
    "build_vgg16_backbone",
    "build_vgg16_conv5_backbone",
]
