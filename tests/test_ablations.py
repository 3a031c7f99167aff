"""Each ablation config is the network that its paper's table means: sizes and channels at seams.

Networks run on tensors without values, at the configs' own sizes.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from detectron2.modeling import META_ARCH_REGISTRY

from recseg_d2.config import load_config, read_options
from recseg_d2.engine.phases import phase_configs
from recseg_d2.models.instance_fcn.options import InstanceFCNOptions
from recseg_d2.models.instance_fcn.training import crop_windows

PROJECTS = Path(__file__).parent.parent / "projects"


def last_phase(project, name):
    path = PROJECTS / project / "configs" / f"{name}.yaml"
    shallow = ["MODEL.DEVICE", "cpu", "MODEL.RESNETS.DEPTH", 50]  # as wide as 101 layers
    cfg = load_config(str(path if path.is_file() else f"{name}.yaml"), shallow)
    return list(phase_configs(cfg).values())[-1]


def build(cfg):
    with torch.device("meta"):
        return META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)(cfg).eval()


def shapes_at(module, call):
    """Shapes of the first input and of the outputs of a module while something runs, once."""
    seen = []

    def note(module, inputs, outputs):
        given = outputs if isinstance(outputs, tuple | list) else [outputs]
        shape = [tuple(x.shape[1:]) for x in given if isinstance(x, torch.Tensor)]
        seen.append((tuple(inputs[0].shape[1:]), shape))

    handle = module.register_forward_hook(note)
    call()
    handle.remove()
    return seen[0]


# Section 4.1 and tables 6 to 9: channels of the pre-processor's maps; channels that the box network
# sees (the canvas, and the maps or the image) and its glimpses; channels and size of what the
# segmentation network reads (image, canvas, maps), size of what it writes; when true masks are fed.
FULL = {
    **{"maps": 9, "box": 10, "glimpses": 5, "patch": (13, 48, 48), "heat": (48, 48)},
    "masks": "schedule",
}
RIS = {
    "ris_kitti": FULL,
    "kitti_no_preprocessor": {**FULL, "maps": 0, "box": 4, "patch": (4, 48, 48)},
    "kitti_no_box_net": {
        **{**FULL, "box": None, "glimpses": None},
        **{"patch": (13, 128, 448), "heat": (128, 448)},
    },
    "kitti_no_angle": {**FULL, "maps": 1, "box": 2, "patch": (5, 48, 48)},
    "kitti_no_scheduled_sampling": {**FULL, "masks": "always"},
    "kitti_1_glimpse": {**FULL, "glimpses": 1},
    "kitti_3_glimpses": {**FULL, "glimpses": 3},
}


# Cityscapes with the paper's channels, and as the public code feeds it: 8 angles and 9 classes.
CITYSCAPES = {
    "ris_cityscapes_folder": FULL,
    "ris_cityscapes": {**FULL, "maps": 17, "box": 18, "patch": (21, 48, 48)},
    "ris_cityscapes_code": {**FULL, "maps": 17, "box": 21, "patch": (21, 48, 48)},
}


# The same table on rosettes of 96 pixels, whose box network sees the image and its coordinates too.
SMALL = {**FULL, "box": 16, "patch": (13, 32, 32), "heat": (32, 32)}
ROSETTES = {
    **dict.fromkeys(("rosettes_group_norm", "rosettes_shared_norm", "rosettes_longer"), SMALL),
    "rosettes_no_preprocessor": {**SMALL, "maps": 0, "box": 7, "patch": (4, 32, 32)},
    "rosettes_no_box_net": {
        **{**SMALL, "box": None, "glimpses": None},
        **{"patch": (13, 96, 96), "heat": (96, 96)},
    },
    "rosettes_no_angle": {**SMALL, "maps": 1, "box": 8, "patch": (5, 32, 32)},
    "rosettes_no_scheduled_sampling": {**SMALL, "masks": "always"},
    "rosettes_1_glimpse": {**SMALL, "glimpses": 1},
    "rosettes_3_glimpses": {**SMALL, "glimpses": 3},
}
GLIMPSED = {  # height and width of the features that glimpses look at, table 7 for the paper's
    **dict.fromkeys(RIS, (4, 14)),
    **dict.fromkeys(CITYSCAPES, (8, 16)),
    **dict.fromkeys(ROSETTES, (12, 12)),
}


@pytest.mark.parametrize("name", [*RIS, *CITYSCAPES, *ROSETTES])
def test_table_4_of_ris(name):
    expected, cfg = {**RIS, **CITYSCAPES, **ROSETTES}[name], last_phase("ris", name)
    model = build(cfg)
    network = model.network
    image = torch.empty(1, 3, *cfg.MODEL.SEQUENTIAL.IMAGE_SIZE, device="meta")
    patch, (_, heat) = shapes_at(network.segmentation, lambda: model.run_sequence(image, 1))
    box = network.box_network
    assert expected == {
        "maps": 0 if model.preprocessor is None else model.preprocessor.out_width,
        "box": None if box is None else box.cnn.layers[0].conv.in_channels,
        "glimpses": None if box is None else box.glimpse.glimpses,
        "patch": patch,
        "heat": heat,
        "masks": cfg.MODEL.RIS.SAMPLING.MASKS,
    }
    if box is not None:
        assert box.map_size == GLIMPSED[name]


def test_every_ablation_of_ris_has_its_row():
    assert {p.stem for p in PROJECTS.glob("ris/configs/*.yaml")} < {*RIS, *ROSETTES}


# Table 2a: channels of the skips, deepest first; input channels of each ConvLSTM beside its own
# hidden state; size of the finest one. Encoder features are 1/32 to 1/2 of 256 pixels.
WIDTHS = [128, 128, 64, 32, 16]
BELOW = [128, 128, 128, 64, 32]  # channels that come from below; of the skip, for the deepest
R101 = [2048, 1024, 512, 256, 64]
PLAIN = {"encoder": R101, "inputs": [128, 256, 256, 128, 64], "finest": (16, 128, 128)}
RSIS = {
    "rsis_voc": PLAIN,
    "voc_r50": PLAIN,
    "voc_vgg16": {**PLAIN, "encoder": [512, 512, 256, 128, 64]},
    "voc_skip_sum": {**PLAIN, "inputs": BELOW},
    "voc_skip_mul": {**PLAIN, "inputs": BELOW},
    "voc_skip_none": {**PLAIN, "encoder": R101[:1], "inputs": BELOW},
    "voc_4_convlstms": {
        **{"encoder": R101[:4], "inputs": PLAIN["inputs"][:4]},
        "finest": (32, 64, 64),
    },
    "voc_3_convlstms": {
        **{"encoder": R101[:3], "inputs": PLAIN["inputs"][:3]},
        "finest": (64, 32, 32),
    },
    "voc_2_convlstms": {"encoder": R101[:2], "inputs": [128, 256], "finest": (128, 16, 16)},
    "voc_1_convlstm": {"encoder": R101[:1], "inputs": [128], "finest": (128, 8, 8)},
}


@pytest.mark.parametrize("name", RSIS)
def test_table_2a_of_rsis(name):
    cfg = last_phase("rsis", name)
    model = build(cfg)
    image = torch.empty(1, 3, 256, 256, device="meta")
    decoder = model.decoder
    finest, _ = shapes_at(decoder.mask_head, lambda: model.run_sequence(image, 1))
    projections = [s for s in decoder.skips if len(list(s.children()))]
    assert RSIS[name] == {
        "encoder": [s[0].in_channels for s in projections],
        "inputs": [c.gates.in_channels - c.hidden_width for c in decoder.cells],
        "finest": finest,
    }
    assert [c.hidden_width for c in decoder.cells] == WIDTHS[: len(decoder.cells)]
    assert decoder.class_head.out_features == 20
    with torch.no_grad():
        assert model.run_sequence(image, 2).mask_logits.shape == (1, 2, 256, 256)


def test_every_ablation_of_rsis_on_voc_has_its_row():
    assert {p.stem for p in PROJECTS.glob("rsis/configs/voc_*.yaml")} < set(RSIS)


# Tables 1 and 2: channels and cell size in pixels of what masks come from, side of a mask; side of
# the crops that training sees (0: whole images), and windows an image.
FCN = {
    "instancefcn_voc": {"maps": 25, "stride": 8, "side": 21, "crop": 0, "windows": 256},
    "voc_k1": {"maps": 1, "stride": 8, "side": 21, "crop": 0, "windows": 256},
    "voc_k3": {"maps": 9, "stride": 8, "side": 21, "crop": 0, "windows": 256},
    "voc_k7": {"maps": 49, "stride": 8, "side": 21, "crop": 0, "windows": 256},
    "voc_crops": {"maps": 25, "stride": 8, "side": 21, "crop": 224, "windows": 32},
    "voc_crops_256": {"maps": 25, "stride": 8, "side": 21, "crop": 224, "windows": 256},
    "voc_deepmask": {"maps": 512, "stride": 16, "side": 56, "crop": 224, "windows": 32},
    "voc_r50": {"maps": 25, "stride": 8, "side": 21, "crop": 0, "windows": 256},
    "scenes_k1": {"maps": 1, "stride": 4, "side": 15, "crop": 0, "windows": 256},
    "scenes_k3": {"maps": 9, "stride": 4, "side": 15, "crop": 0, "windows": 256},
    "scenes_k7": {"maps": 49, "stride": 4, "side": 15, "crop": 0, "windows": 256},
}


@pytest.mark.parametrize("name", FCN)
def test_tables_1_and_2_of_instance_fcn(name):
    cfg = last_phase("instance_fcn", name)
    network, sampling = build(cfg).network, read_options(cfg, InstanceFCNOptions).sampling
    image = torch.empty(1, 3, 224, 448, device="meta")
    windows = torch.empty(2, 3, dtype=torch.int64, device="meta")
    if sampling.crop_size:
        cells = sampling.crop_size // network.stride
        image = crop_windows(image, windows, network.stride, cells)
        assert image.shape == (2, 3, 224, 224)
    maps = network(image)
    assert image.shape[3] // maps.mask_maps.shape[3] == network.stride
    assert maps.objectness.shape[1:] == (1, *maps.mask_maps.shape[2:])
    assert FCN[name] == {
        "maps": maps.mask_maps.shape[1],
        "stride": network.stride,
        "side": network.mask_logits(maps, windows).shape[-1],
        "crop": sampling.crop_size,
        "windows": sampling.num_windows,
    }


def test_every_ablation_of_instance_fcn_has_its_row():
    assert {p.stem for p in PROJECTS.glob("instance_fcn/configs/*.yaml")} < set(FCN)
