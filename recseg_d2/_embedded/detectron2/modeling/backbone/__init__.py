"""Feature extractors."""

from .backbone import BACKBONE_REGISTRY, Backbone, build_backbone
from .resnet import ResNet, build_resnet_backbone

__all__ = ["BACKBONE_REGISTRY", "Backbone", "ResNet", "build_backbone", "build_resnet_backbone"]
