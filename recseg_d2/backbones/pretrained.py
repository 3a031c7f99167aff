"""Weights of encoders that go by other names than this package's.

The same convolution has one name in torchvision's files, another in Caffe's and in Detectron2's,
and a longer one in a checkpoint of a whole model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from detectron2.modeling import Backbone
from torch import nn

from recseg_d2.backbones.resnet import detectron2_name
from recseg_d2.layers.vgg import torchvision_name

_INSIDE_A_MODEL = re.compile(r"(?:.*\.)?backbone\.(?:bottom_up\.)?")  # of this package, Detectron2


def encoder_prefix(model: nn.Module) -> str | None:
    """What the names of the parameters of a model's encoder begin with, as "backbone.".

    None for a model without one.
    """
    for name, module in model.named_modules():
        if isinstance(module, Backbone):
            return f"{name}." if name else ""
    return None


def own_names(model: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """Weights by a model's names, as far as they have a place in its encoder.

    Args:
        model: whole, as checkpoints are loaded into it.
        state: weights by the names of torchvision ("features.0.weight", "layer1.0.conv1.weight"),
            Caffe ("conv1_1.weight", "conv1_1_w"; of VGG-16 only), Detectron2's ImageNet weights
            ("res2.0.conv1.weight"), an encoder of this package, or another model that has the
            encoder ("network.backbone.features.0.weight").

    Returns:
        All weights; those that the model has already, or has no place for, keep their names.
    """
    known, prefix = model.state_dict().keys(), encoder_prefix(model)
    if prefix is None:
        return dict(state)
    renamed = {name: value for name, value in state.items() if name in known}
    for name, value in state.items():
        inner = _INSIDE_A_MODEL.sub("", name, count=1)
        names = (prefix + translate(inner) for translate in _TRANSLATIONS)
        renamed.setdefault(next((n for n in names if n in known), name), value)
    return renamed


def _unchanged(name: str) -> str:
    return name


_TRANSLATIONS: tuple[Callable[[str], str], ...] = (_unchanged, torchvision_name, detectron2_name)
