"""The public RSIS code's weights give this package's model the outputs of the public network."""

from __future__ import annotations

import re

import pytest
import torch
from detectron2.modeling import build_model
from reference.rsis_public import Decoder, Encoder, run_public

from recseg_d2.cli import run
from recseg_d2.cli.convert_weights import main
from recseg_d2.config import load_config
from recseg_d2.engine.weights import load_weights

D, CLASSES = 32, 3
SMALL = [
    *("MODEL.DEVICE", "cpu", "MODEL.RESNETS.DEPTH", "18", "MODEL.RESNETS.RES2_OUT_CHANNELS", "64"),
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", "(64,96)"),
    *("MODEL.RSIS.HIDDEN_WIDTHS", "(32,16,8,4,2)", "MODEL.NUM_CLASSES", str(CLASSES)),
]


def public(skip_mode, classes=CLASSES):
    """Random networks in evaluation mode, with running statistics that are not 0 and 1."""
    torch.manual_seed(0)
    networks = Encoder(D), Decoder(D, 1 + classes, skip_mode)
    for network in networks:
        for name, buffer in network.named_buffers():
            if name.endswith("running_mean"):
                buffer.normal_(std=0.1)
            if name.endswith("running_var"):
                buffer.uniform_(0.5, 1.5)
        network.eval()
    return networks


def save(networks, folder, prefix=""):
    for name, network in zip(("encoder", "decoder"), networks, strict=True):
        state = {prefix + n: v for n, v in network.state_dict().items()}
        torch.save(state, folder / f"{name}.pt")


def convert(folder, config, *opts):
    files = ["--encoder", str(folder / "encoder.pt"), "--decoder", str(folder / "decoder.pt")]
    given = ["--config-file", config, *files, "--output", str(folder / "converted")]
    return run(main, [*given, *SMALL, *opts])


def converted(folder):
    cfg = load_config(str(folder / "converted" / "config.yaml"))
    model = build_model(cfg).eval()
    load_weights(model, str(folder / "converted" / "model_final.pth"))
    return model


def assert_same(model, networks, classes=CLASSES):
    images = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        sequence = model.run_sequence(images, steps=3)
        masks, class_logits, stop = run_public(*networks, images, steps=3)
    torch.testing.assert_close(sequence.mask_logits, masks, rtol=0, atol=1e-5)
    torch.testing.assert_close(sequence.score_logits, stop, rtol=0, atol=1e-5)
    if classes == 1:
        assert sequence.class_logits is None
    else:
        torch.testing.assert_close(sequence.class_logits, class_logits[..., 1:], rtol=0, atol=1e-5)


@pytest.mark.parametrize("skip_mode", ["concat", "sum", "mul", "none"])
def test_same_outputs_for_the_same_weights(tmp_path, skip_mode, capsys):
    networks = public(skip_mode)
    save(networks, tmp_path, prefix="module." if skip_mode == "sum" else "")
    assert convert(tmp_path, "rsis_voc_code.yaml", "MODEL.RSIS.SKIP_MODE", skip_mode) == 0
    assert "model_final.pth" in capsys.readouterr().out
    assert_same(converted(tmp_path), networks)


@pytest.mark.parametrize(
    ("config", "classes"), [("rsis_cvppp_code.yaml", 1), ("rsis_cityscapes_code.yaml", 8)]
)
def test_every_preset_of_the_public_code_builds_its_network(tmp_path, config, classes):
    networks = public("concat", classes)
    save(networks, tmp_path)
    assert convert(tmp_path, config, "MODEL.NUM_CLASSES", str(classes)) == 0
    assert_same(converted(tmp_path), networks, classes)


@pytest.mark.parametrize(
    ("file", "change", "message"),
    [
        ("decoder", lambda s: s.update({"fc_box.weight": torch.zeros(1)}), "'fc_box.weight' is no"),
        ("encoder", lambda s: s.update({"sk6.weight": torch.zeros(1)}), "'sk6.weight' is no name"),
        ("decoder", lambda s: s.pop("fc_stop.bias"), "files have no decoder.stop_head.bias"),
        ("encoder", lambda s: s.pop("base.conv1.weight"), "files have no backbone.stem.conv1.weig"),
        (
            "decoder",
            lambda s: s.update({"conv_out.weight": torch.zeros(1, 2, 1, 1)}),
            r"other shape are decoder.mask_head.weight \(1, 2, 1, 1\) .expected \(1, 2, 3, 3\)",
        ),
        (
            "encoder",
            lambda s: s.update({"base.layer1.9.x": torch.zeros(1)}),
            "no backbone.layer1.9",
        ),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, capsys, file, change, message):
    save(public("concat"), tmp_path)
    state = torch.load(tmp_path / f"{file}.pt")
    change(state)
    torch.save(state, tmp_path / f"{file}.pt")
    assert convert(tmp_path, "rsis_voc_code.yaml") == 2
    assert re.search(message, capsys.readouterr().err)


def test_another_networks_config_is_refused(tmp_path, capsys):
    save(public("concat"), tmp_path)
    assert convert(tmp_path, "rsis_voc_code.yaml", "MODEL.RSIS.BOX_HEAD", "True") == 2
    assert "files have no decoder.box_head.weight" in capsys.readouterr().err
    assert convert(tmp_path, "rsis_voc_code.yaml", "MODEL.RESNETS.DEPTH", "34") == 2
    assert "files have no backbone.res2.2" in capsys.readouterr().err
    (tmp_path / "encoder.pt").unlink()
    assert convert(tmp_path, "rsis_voc_code.yaml") == 2
    assert "There is no file" in capsys.readouterr().err
