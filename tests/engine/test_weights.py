"""A run starts from the weights that its config names, or says why not."""

from __future__ import annotations

import logging

import pytest
import torch
from detectron2.modeling import build_model

from recseg_d2.config import load_config
from recseg_d2.engine.trainer import Trainer
from recseg_d2.engine.weights import load_pretrained
from recseg_d2.errors import UserError


@pytest.fixture
def named(tiny_cfg, tmp_path):
    """A config that names a file, and the weights of its encoder to fill it with."""
    tiny_cfg.MODEL.WEIGHTS = str(tmp_path / "encoder.pth")
    torch.manual_seed(7)
    model = build_model(tiny_cfg)
    encoder = {n: torch.randn_like(v.float()) for n, v in model.backbone.state_dict().items()}
    return tiny_cfg, encoder


def start(cfg):
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=False)
    return trainer.model


def test_the_log_says_how_much_came_from_the_file(named, caplog):
    cfg, encoder = named
    torch.save(encoder, cfg.MODEL.WEIGHTS)
    with caplog.at_level(logging.INFO, logger="recseg_d2"):
        model = start(cfg)
    kinds = [n for n in encoder if "num_batches" not in n]
    total = len(kinds)
    assert f"encoder.pth: {total} of {total} parameters of the encoder (backbone.*)" in caplog.text
    for name in kinds:
        assert torch.equal(model.backbone.state_dict()[name], encoder[name]), name


def test_weights_of_another_encoder_stop_the_run_and_name_what_did_not_fit(named):
    cfg, encoder = named
    torch.save({f"other.{n}": v for n, v in encoder.items()}, cfg.MODEL.WEIGHTS)
    first = next(iter(encoder))
    pattern = rf"encoder\.pth, 0 of .*backbone\.{first}, .* 90% .* other\.{first}.*MIN_FRACTION"
    with pytest.raises(UserError, match=pattern):
        start(cfg)
    cfg.MODEL.WEIGHTS_MIN_FRACTION = 0.0
    start(cfg)


def test_weights_of_another_shape_do_not_fit(named):
    cfg, encoder = named
    wider = {n: torch.cat([v, v]) if v.ndim else v for n, v in encoder.items()}
    torch.save(wider, cfg.MODEL.WEIGHTS)
    with pytest.raises(UserError, match="0 of"):
        start(cfg)


@pytest.mark.parametrize("fits", [True, False])
def test_the_share_that_has_to_fit(named, fits):
    cfg, encoder = named
    kinds = [n for n in encoder if "num_batches" not in n]
    lost = len(kinds) // 5 + (not fits)
    assert lost >= 1
    cfg.MODEL.WEIGHTS_MIN_FRACTION = 0.8
    torch.save({n: encoder[n] for n in kinds[lost:]}, cfg.MODEL.WEIGHTS)
    if fits:
        start(cfg)
    else:
        with pytest.raises(UserError, match=f"{len(kinds) - lost} of {len(kinds)}"):
            start(cfg)


def test_of_a_model_without_an_encoder_the_files_weights_have_to_fit(tmp_path):
    options = ["MODEL.DEVICE", "cpu", "MODEL.RIS.STAGE", "preprocessor"]
    cfg = load_config("ris_synthetic.yaml", options)
    before = build_model(cfg)
    path = str(tmp_path / "preprocessor.pth")
    torch.save({"model": before.state_dict()}, path)
    cfg.merge_from_list(["MODEL.RIS.STAGE", "box"])
    after = build_model(cfg)
    load_pretrained(after, path, 0.9)
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value), name
    torch.save({"features.0.weight": torch.zeros(2, 2)}, path)
    with pytest.raises(UserError, match=r"0 of 1 parameters in it .*features\.0\.weight"):
        load_pretrained(after, path, 0.9)
