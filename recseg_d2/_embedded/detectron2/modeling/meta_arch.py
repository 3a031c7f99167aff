"""Whole models by name."""

from __future__ import annotations

import torch
from torch import nn

from detectron2.config import CfgNode
from detectron2.utils.registry import Registry

META_ARCH_REGISTRY = Registry("META_ARCH")  # called with the config, they return the model


def build_model(cfg: CfgNode) -> nn.Module:
    """The model ``cfg.MODEL.META_ARCHITECTURE`` on ``cfg.MODEL.DEVICE``, without weights."""
    model = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)(cfg)
    return model.to(torch.device(cfg.MODEL.DEVICE))
