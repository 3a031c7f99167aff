import pytest
import torch
from detectron2.layers import ShapeSpec
from detectron2.modeling import BACKBONE_REGISTRY, build_backbone
from torch import nn

from recseg_d2.config import get_recseg_cfg
from recseg_d2.layers.vgg import VGG16, Conv5VGG16, Conv5VGG16Options, torchvision_name


def config(name, *options):
    cfg = get_recseg_cfg()
    cfg.MODEL.BACKBONE.NAME = name
    cfg.MODEL.BACKBONE.FREEZE_AT = 0
    cfg.MODEL.RESNETS.NORM = "BN"
    cfg.merge_from_list(list(options))
    return cfg


CASES = [
    ("build_vgg16_conv5_backbone", ["MODEL.VGG16.STRIDE", 8], 8),
    ("build_vgg16_conv5_backbone", ["MODEL.VGG16.STRIDE", 16], 16),
    ("build_small_fpn_backbone", [], 4),
    ("build_small_fpn_backbone", ["MODEL.SMALL_FPN.STRIDE", 8], 8),
    ("build_resnet_stride8_backbone", ["MODEL.RESNETS.OUT_FEATURES", ["res4"]], 8),
    ("build_resnet_stride8_backbone", ["MODEL.RESNETS.OUT_FEATURES", ["res5"]], 8),
]


@pytest.mark.parametrize(("name", "options", "stride"), CASES)
def test_one_feature_map_of_whole_cells(name, options, stride):
    cfg = config(name, *options)
    model = BACKBONE_REGISTRY.get(name)(cfg, ShapeSpec(channels=3)).eval()
    with torch.no_grad():
        features = model(torch.randn(1, 3, 3 * 16, 5 * 16))
    ((key, feature),) = features.items()
    shape = model.output_shape()[key]
    assert shape.stride == stride
    assert feature.shape == (1, shape.channels, 48 // stride, 80 // stride)


def test_stride_16_is_plain_vgg_and_stride_8_is_what_its_holes_see():
    """A dilated convolution at stride 8 has, every other cell, the values of stride 16."""
    torch.manual_seed(0)
    full, plain, fine = VGG16(), *(Conv5VGG16(Conv5VGG16Options(stride)) for stride in (16, 8))
    state = full.state_dict()
    plain.load_state_dict({k: v for k, v in state.items() if k in plain.state_dict()})
    fine.load_state_dict(plain.state_dict())
    image = torch.randn(1, 3, 32, 48)
    with torch.no_grad():
        pooled = nn.functional.max_pool2d(plain(image), 2)
        torch.testing.assert_close(pooled, full(image)[-1])
        conv4 = torch.randn(1, 512, 8, 8).relu()
        coarse = plain.features[24:](conv4[:, :, ::2, ::2])
        dilated = fine.features[24:](conv4)[:, :, ::2, ::2]
    torch.testing.assert_close(dilated, coarse)


@pytest.mark.parametrize(
    ("caffe", "ours"),
    [
        ("conv1_1.weight", "features.0.weight"),
        ("conv1_2_b", "features.2.bias"),
        ("conv2_1_w", "features.5.weight"),
        ("conv3_3.bias", "features.14.bias"),
        ("conv4_1.weight", "features.17.weight"),
        ("conv5.3.weight", "features.28.weight"),
        ("fc6.weight", "fc6.weight"),
        ("features.0.weight", "features.0.weight"),
    ],
)
def test_caffes_names(caffe, ours):
    assert torchvision_name(caffe) == ours


def test_freezing_the_first_stages():
    cfg = config("build_vgg16_conv5_backbone", "MODEL.BACKBONE.FREEZE_AT", 2)
    model = build_backbone(cfg)
    frozen = [n for n, p in model.named_parameters() if not p.requires_grad]
    assert {n.split(".")[1] for n in frozen} == {"0", "2", "5", "7"}


RESNETS = [
    ["MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.RES2_OUT_CHANNELS", 64],
    ["MODEL.RESNETS.DEPTH", 50, "MODEL.RESNETS.STRIDE_IN_1X1", True],
    ["MODEL.RESNETS.DEPTH", 50, "MODEL.RESNETS.STRIDE_IN_1X1", False],
]


@pytest.mark.parametrize("options", RESNETS)
def test_resnet_at_stride_8_has_the_values_of_the_plain_one_every_other_cell(options):
    torch.manual_seed(0)
    fine = build_backbone(
        config("build_resnet_stride8_backbone", *options, "MODEL.RESNETS.OUT_FEATURES", ["res5"])
    ).eval()
    plain = build_backbone(
        config("build_resnet_backbone", *options, "MODEL.RESNETS.OUT_FEATURES", ["res3", "res5"])
    ).eval()
    plain.load_state_dict(fine.state_dict())
    fine, plain = fine.double(), plain.double()
    features = torch.randn(1, plain.output_shape()["res3"].channels, 12, 12).double()
    with torch.no_grad():
        dilated = fine.res5(fine.res4(features))
        coarse = plain.res5(plain.res4(features))
    torch.testing.assert_close(dilated[:, :, ::4, ::4], coarse)
