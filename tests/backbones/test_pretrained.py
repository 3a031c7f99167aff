"""Pretrained weights reach every encoder whose config names some, whatever their names are.

The names and shapes of the files are written out here, from torchvision's, Caffe's and the
EfficientNet package's models and from the rule by which Detectron2 converts torchvision's; nothing
of the package makes them.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from detectron2.modeling import META_ARCH_REGISTRY

from recseg_d2.backbones.pretrained import encoder_prefix, own_names
from recseg_d2.config import load_config

# A meta tensor's counter of batches, which no file has, is filled with a number in vain.
pytestmark = pytest.mark.filterwarnings("ignore:for .*num_batches_tracked.*no-op:UserWarning")

ROOT = Path(__file__).parent.parent.parent
CONFIGS = sorted([*ROOT.glob("configs/*.yaml"), *ROOT.glob("projects/*/configs/*.yaml")])
# The first config of each kind of model and encoder that names ImageNet weights.
ENCODERS = [
    "configs/dense_cityscapes.yaml",
    "configs/instancefcn_classifier_voc.yaml",
    "configs/instancefcn_coco.yaml",
    "configs/rsis_cityscapes.yaml",
    "projects/instance_fcn/configs/voc_deepmask.yaml",
    "projects/instance_fcn/configs/voc_r50.yaml",
    "projects/rsis/configs/voc_r50.yaml",
    "projects/rsis/configs/voc_vgg16.yaml",
]
VGG_CONVS = [2, 2, 3, 3, 3]
VGG_WIDTHS = [64, 128, 256, 512, 512]
RESNET_BLOCKS = {50: [3, 4, 6, 3], 101: [3, 4, 23, 3]}
LITE0_STAGES = [  # blocks, side of the kernel, expansion, width
    *((1, 3, 1, 16), (2, 3, 6, 24), (2, 5, 6, 40), (3, 3, 6, 80)),
    *((3, 5, 6, 112), (4, 5, 6, 192), (1, 3, 6, 320)),
]


def empty(*shape):
    return torch.empty(shape, device="meta")


def vgg16(caffe):
    """All parameters of VGG-16 with 1000 classes."""
    layers, place, width = {}, 0, 3
    for stage, count in enumerate(VGG_CONVS, 1):
        for conv in range(1, count + 1):
            name = f"conv{stage}_{conv}" if caffe else f"features.{place}"
            layers[name] = (VGG_WIDTHS[stage - 1], width, 3, 3)
            width, place = VGG_WIDTHS[stage - 1], place + 2
        place += 1
    names = ("fc6", "fc7", "fc8") if caffe else ("classifier.0", "classifier.3", "classifier.6")
    layers |= dict(zip(names, ((4096, 25088), (4096, 4096), (1000, 4096)), strict=True))
    return {
        f"{name}.{kind}": empty(*(shape if kind == "weight" else shape[:1]))
        for name, shape in layers.items()
        for kind in ("weight", "bias")
    }


def resnet(depth, detectron2):
    """All parameters of a ResNet of bottlenecks with 1000 classes."""
    convs = {("conv1", "bn1"): (64, 3, 7, 7)}
    before = 64
    for stage, blocks in enumerate(RESNET_BLOCKS[depth], 1):
        middle = 64 * 2 ** (stage - 1)
        for block in range(blocks):
            at = f"layer{stage}.{block}."
            convs[at + "conv1", at + "bn1"] = (middle, before, 1, 1)
            convs[at + "conv2", at + "bn2"] = (middle, middle, 3, 3)
            convs[at + "conv3", at + "bn3"] = (4 * middle, middle, 1, 1)
            if block == 0:
                down = at + "downsample."
                convs[down + "0", down + "1"] = (4 * middle, before, 1, 1)
            before = 4 * middle
    weights = {"fc.weight": empty(1000, 2048), "fc.bias": empty(1000), **with_norms(convs)}
    return {as_detectron2(n): v for n, v in weights.items()} if detectron2 else weights


def with_norms(convs):
    """Parameters of convolutions and the batch norms after them, by the names of both."""
    weights = {}
    for (conv, norm), shape in convs.items():
        weights[f"{conv}.weight"] = empty(*shape)
        for kind in ("weight", "bias", "running_mean", "running_var"):
            weights[f"{norm}.{kind}"] = empty(shape[0])
    return weights


def efficientnet_lite0():
    """All parameters of EfficientNet-Lite0 with 1000 classes."""
    convs = {("_conv_stem", "_bn0"): (32, 3, 3, 3)}
    before, block = 32, 0
    for blocks, kernel, expansion, width in LITE0_STAGES:
        for _ in range(blocks):
            at, inner = f"_blocks.{block}.", before * expansion
            if expansion > 1:
                convs[at + "_expand_conv", at + "_bn0"] = (inner, before, 1, 1)
            convs[at + "_depthwise_conv", at + "_bn1"] = (inner, 1, kernel, kernel)
            convs[at + "_project_conv", at + "_bn2"] = (width, inner, 1, 1)
            before, block = width, block + 1
    convs["_conv_head", "_bn1"] = (1280, before, 1, 1)
    return {"_fc.weight": empty(1000, 1280), "_fc.bias": empty(1000), **with_norms(convs)}


def as_detectron2(name):
    """The rule of Detectron2's tool that converts torchvision's weights."""
    name = name if "layer" in name else f"stem.{name}"
    for number in (1, 2, 3, 4):
        name = name.replace(f"layer{number}", f"res{number + 1}")
    for number in (1, 2, 3):
        name = name.replace(f"bn{number}", f"conv{number}.norm")
    return name.replace("downsample.0", "shortcut").replace("downsample.1", "shortcut.norm")


def files_for(cfg):
    if "vgg16" in cfg.MODEL.WEIGHTS:
        return {"torchvision": vgg16(caffe=False), "caffe": vgg16(caffe=True)}
    if "efficientnet_lite0" in cfg.MODEL.WEIGHTS:
        return {"package": efficientnet_lite0()}
    depth = cfg.MODEL.RESNETS.DEPTH
    assert f"R-{depth}" in cfg.MODEL.WEIGHTS
    return {
        "torchvision": resnet(depth, detectron2=False),
        "detectron2": resnet(depth, detectron2=True),
    }


def build(cfg):
    """The model of a config with parameters that have no values and take no memory."""
    with torch.device("meta"):
        return META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)(cfg)


def unfilled(model, state):
    missing = model.load_state_dict(dict(state), strict=False).missing_keys
    prefix = encoder_prefix(model)
    return [n for n in missing if n.startswith(prefix) and "num_batches_tracked" not in n]


def test_no_kind_of_model_and_encoder_is_left_out():
    first = {}
    for path in CONFIGS:
        cfg = load_config(str(path), ["MODEL.DEVICE", "cpu"])
        if "://" in cfg.MODEL.WEIGHTS:
            backbone = (cfg.MODEL.BACKBONE.NAME, cfg.MODEL.VGG16.STRIDE, cfg.MODEL.RESNETS.DEPTH)
            first.setdefault((cfg.MODEL.META_ARCHITECTURE, *backbone, cfg.MODEL.WEIGHTS), path)
    assert [path.relative_to(ROOT).as_posix() for path in first.values()] == ENCODERS


@pytest.mark.parametrize("path", ENCODERS)
def test_every_source_of_weights_fills_the_encoder(path):
    cfg = load_config(str(ROOT / path), ["MODEL.DEVICE", "cpu"])
    model = build(cfg)
    prefix = encoder_prefix(model)
    own = {n: v for n, v in model.state_dict().items() if n.startswith(prefix)}
    assert len(own) >= 26
    bare = {n.removeprefix(prefix): v for n, v in own.items()}
    elsewhere = {f"network.backbone.backbone.{n}": v for n, v in bare.items()}
    files = {**files_for(cfg), "own": own, "bare": bare, "of another model": elsewhere}
    for source, state in files.items():
        assert unfilled(model, state) == [], source
        assert len(own_names(model, state)) == len(state)
    assert len(unfilled(model, {"something.else": empty(1)})) >= 26


def test_layers_of_caffes_that_are_no_convolutions_reach_the_classifier():
    cfg = load_config("instancefcn_classifier_voc.yaml", ["MODEL.DEVICE", "cpu"])
    model = build(cfg)
    for caffe in (False, True):
        missing = model.load_state_dict(vgg16(caffe), strict=False).missing_keys
        assert missing == ["classifier.score.weight", "classifier.score.bias"]


def test_values_arrive_where_their_names_say():
    cfg = load_config(
        "rsis_voc.yaml",
        [
            *("MODEL.DEVICE", "cpu", "MODEL.RESNETS.DEPTH", 18),
            *("MODEL.RESNETS.RES2_OUT_CHANNELS", 64),
        ],
    )
    model = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)(cfg)
    torch.manual_seed(0)
    given = {
        "conv1.weight": ("stem.conv1.weight", torch.randn(64, 3, 7, 7)),
        "bn1.running_var": ("stem.conv1.norm.running_var", torch.rand(64)),
        "layer2.0.downsample.1.bias": ("res3.0.shortcut.norm.bias", torch.randn(128)),
        "layer4.1.conv2.weight": ("res5.1.conv2.weight", torch.randn(512, 512, 3, 3)),
    }
    before = model.backbone.res3[0].shortcut.weight.clone()
    model.load_state_dict({name: value for name, (_, value) in given.items()}, strict=False)
    for own, value in given.values():
        assert torch.equal(model.backbone.state_dict()[own], value), own
    assert torch.equal(model.backbone.res3[0].shortcut.weight, before)


def test_names_that_the_model_has_are_left_alone():
    cfg = load_config("rsis_small.yaml", ["MODEL.DEVICE", "cpu"])
    model = build(cfg)
    state = model.state_dict()
    assert own_names(model, state).keys() == state.keys()
