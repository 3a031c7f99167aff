"""The ResNet backbone, on either Detectron2."""

from __future__ import annotations

import pytest
import torch
from detectron2.config import CfgNode, get_cfg
from detectron2.layers import FrozenBatchNorm2d, ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, META_ARCH_REGISTRY, Backbone, build_backbone
from detectron2.modeling import build_model as build
from detectron2.modeling.backbone.resnet import BasicStem, ResNet
from torch import nn

# Number of entries of the state dict without classifier, with frozen norms (5 tensors a layer).
ENTRIES = {18: 20 * 5, 34: 36 * 5, 50: 53 * 5, 101: 104 * 5, 152: 155 * 5}


def resnet_cfg(depth: int = 18) -> CfgNode:
    cfg = get_cfg()
    cfg.MODEL.RESNETS.DEPTH = depth
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 64 if depth < 50 else 256
    cfg.MODEL.RESNETS.OUT_FEATURES = ["stem", "res2", "res3", "res4", "res5"]
    return cfg


@pytest.mark.parametrize("depth", ENTRIES)
def test_state_dict_names(depth):
    with torch.device("meta"):
        stages = ResNet.make_default_stages(depth, norm="FrozenBN")
        names = ResNet(BasicStem(norm="FrozenBN"), stages).state_dict()
    assert len(names) == ENTRIES[depth]
    assert {"stem.conv1.weight", "stem.conv1.norm.running_var", "res5.1.conv2.norm.bias"} <= set(
        names
    )
    assert ("res2.0.shortcut.weight" in names) == (depth >= 50)
    assert ("res2.0.conv3.weight" in names) == (depth >= 50)
    assert names["res5.0.shortcut.weight"].shape[0] == (2048 if depth >= 50 else 512)


@pytest.mark.parametrize("depth", [18, 50])
def test_features_have_the_promised_shapes(depth):
    backbone = build_backbone(resnet_cfg(depth)).eval()
    with torch.no_grad():
        features = backbone(torch.rand(1, 3, 64, 96))
    shapes = backbone.output_shape()
    assert list(features) == list(shapes) == ["stem", "res2", "res3", "res4", "res5"]
    for name, spec in shapes.items():
        assert features[name].shape == (1, spec.channels, 64 // spec.stride, 96 // spec.stride)
    assert [spec.stride for spec in shapes.values()] == [4, 4, 8, 16, 32]
    assert backbone.size_divisibility == 0


def test_stride_is_where_the_weights_want_it():
    cfg = resnet_cfg(50)
    assert build_backbone(cfg).res3[0].conv1.stride == (2, 2)
    cfg.MODEL.RESNETS.STRIDE_IN_1X1 = False
    assert build_backbone(cfg).res3[0].conv2.stride == (2, 2)


def test_stages_after_the_last_wanted_one_are_dropped():
    net = ResNet(BasicStem(), ResNet.make_default_stages(18), out_features=["stem", "res3"])
    assert not hasattr(net, "res4")
    assert list(net.output_shape()) == ["stem", "res3"]
    with pytest.raises(AssertionError, match=r"[Aa]vailable"):
        ResNet(BasicStem(), ResNet.make_default_stages(18), out_features=["res9"])


def test_freezing_stops_the_first_stages_only():
    net = ResNet(BasicStem(), ResNet.make_default_stages(18), freeze_at=2)
    frozen = {name.split(".")[0] for name, p in net.named_parameters() if not p.requires_grad}
    assert frozen == {"stem", "res2"}
    assert isinstance(net.res2[0].conv1.norm, FrozenBatchNorm2d)
    assert isinstance(net.res3[0].conv1.norm, nn.BatchNorm2d)


def test_narrow_networks_need_their_width():
    cfg = resnet_cfg(18)
    cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 256
    with pytest.raises(AssertionError, match="RES2_OUT_CHANNELS"):
        build_backbone(cfg)


def test_models_and_backbones_are_built_by_name():
    class TinyBackbone(Backbone):
        def __init__(self, cfg, input_shape):
            super().__init__()
            self._out_features = ["x"]
            self._out_feature_channels = {"x": input_shape.channels}
            self._out_feature_strides = {"x": 1}

        def forward(self, x):
            return {"x": x}

    class TinyModel(nn.Module):
        def __init__(self, cfg):
            super().__init__()
            self.backbone = build_backbone(cfg)

    cfg = get_cfg()
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.NAME, cfg.MODEL.META_ARCHITECTURE = "TinyBackbone", "TinyModel"
    if "TinyModel" not in META_ARCH_REGISTRY:
        BACKBONE_REGISTRY.register(TinyBackbone)
        META_ARCH_REGISTRY.register(TinyModel)
    model = build(cfg)
    assert model.backbone.output_shape() == {"x": ShapeSpec(channels=3, stride=1)}
