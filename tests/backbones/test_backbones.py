import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, build_backbone
from detectron2.modeling.backbone.resnet import build_resnet_backbone

from recseg_d2.config import get_recseg_cfg


def cfg_for(depth=50):
    cfg = get_recseg_cfg()
    cfg.MODEL.BACKBONE.NAME = "build_resnet_stride2_backbone"
    cfg.MODEL.RESNETS.DEPTH = depth
    cfg.MODEL.RESNETS.NORM = "BN"
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    if depth < 50:
        cfg.MODEL.RESNETS.RES2_OUT_CHANNELS = 64
    return cfg


@pytest.mark.parametrize("depth", [18, 34, 50])
def test_resnet_equals_detectron2s_with_the_stem_before_the_pool(depth):
    torch.manual_seed(0)
    cfg = cfg_for(depth)
    ours = build_backbone(cfg).eval()
    cfg.MODEL.RESNETS.OUT_FEATURES = ["stem", "res2", "res3", "res4", "res5"]
    theirs = build_resnet_backbone(cfg, ShapeSpec(channels=3)).eval()
    theirs.load_state_dict(ours.state_dict())  # the names are the same
    image = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        a, b = ours(image), theirs(image)
    pooled = torch.nn.functional.max_pool2d(a["conv1"], 3, stride=2, padding=1)
    torch.testing.assert_close(pooled, b["stem"])
    for name in ("res2", "res3", "res4", "res5"):
        torch.testing.assert_close(a[name], b[name])


def test_shapes_are_what_comes_out():
    for name, options in (
        ("build_resnet_stride2_backbone", []),
        ("build_vgg16_backbone", []),
        ("build_small_encoder_backbone", ["MODEL.SMALL_ENCODER.WIDTHS", [4, 6, 8]]),
    ):
        cfg = cfg_for(18)
        cfg.MODEL.BACKBONE.NAME = name
        cfg.merge_from_list(options)
        model = BACKBONE_REGISTRY.get(name)(cfg, ShapeSpec(channels=3)).eval()
        with torch.no_grad():
            features = model(torch.randn(1, 3, 64, 64))
        shapes = model.output_shape()
        assert list(features) == list(shapes)
        strides = [s.stride for s in shapes.values()]
        assert strides == [2 ** (i + 1) for i in range(len(strides))]
        for key, feature in features.items():
            assert feature.shape[1] == shapes[key].channels
            assert feature.shape[2] == 64 // shapes[key].stride


def test_freeze_at_freezes_the_stem():
    cfg = cfg_for(18)
    cfg.MODEL.BACKBONE.FREEZE_AT = 1
    model = build_backbone(cfg)
    assert not any(p.requires_grad for p in model.stem.parameters())
    assert all(p.requires_grad for p in model.stages[-1].parameters())
