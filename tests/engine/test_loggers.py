"""Curves and pictures in TensorBoard and at Weights & Biases."""

from __future__ import annotations

import importlib.machinery
import logging
import sys
import types
from pathlib import Path

import pytest

from recseg_d2.engine.trainer import Trainer
from recseg_d2.errors import UserError


class FakeWandb(types.ModuleType):
    """Notes what it is given."""

    def __init__(self):
        super().__init__("wandb")
        self.__spec__ = importlib.machinery.ModuleSpec("wandb", None)
        self.rows, self.settings, self.finished = [], None, False

    def init(self, **settings):
        self.settings = settings
        return self

    def log(self, row, step):
        self.rows.append((step, row))

    def finish(self):
        self.finished = True

    def Image(self, path):
        assert Path(path).is_file()
        return path


@pytest.fixture
def drawn_cfg(tiny_cfg, tiny_dataset):
    """Evaluates and draws twice."""
    tiny_cfg.merge_from_list(
        [
            *("DATASETS.TEST", (tiny_dataset,), "TEST.EVAL_PERIOD", 1, "TEST.NUM_PICTURES", 1),
            *("SOLVER.MAX_ITER", 2, "TEST.VAL_LOSS", False, "TEST.SAVE_PREDICTIONS", False),
        ]
    )
    Path(tiny_cfg.OUTPUT_DIR).mkdir()
    return tiny_cfg


def test_the_pictures_of_each_evaluation_are_in_tensorboard(drawn_cfg):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    Trainer(drawn_cfg).train()
    (file,) = Path(drawn_cfg.OUTPUT_DIR).glob("events*.pictures")
    events = accumulator.EventAccumulator(str(file), {"images": 0})
    events.Reload()
    names = events.Tags()["images"]
    assert "montage" in names
    assert [event.step for event in events.Images("montage")] == [0, 1]
    assert "wandb" not in sys.modules


def test_curves_and_pictures_go_to_weights_and_biases_where_it_is_wanted(drawn_cfg, monkeypatch):
    wandb = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    drawn_cfg.LOGGER.WANDB_PROJECT = "leaves"
    Trainer(drawn_cfg).train()
    assert wandb.settings["project"] == "leaves"
    assert wandb.settings["name"] == "run"
    assert wandb.finished
    curves = [(step, row["total_loss"]) for step, row in wandb.rows if "total_loss" in row]
    assert [step for step, _ in curves] == [0, 1]
    assert any("pictures/montage" in row for _, row in wandb.rows)
    assert wandb.settings["config"]["SOLVER"]["MAX_ITER"] == 2


def test_without_the_package_a_run_that_wants_it_does_not_begin(drawn_cfg, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    drawn_cfg.LOGGER.WANDB_PROJECT = "leaves"
    with pytest.raises(UserError, match="pip install wandb"):
        Trainer(drawn_cfg)


def test_where_tensorboard_is_not_installed_a_run_trains_without_it(drawn_cfg, monkeypatch, caplog):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("tensorboard", "torch.utils.tensorboard"):
        monkeypatch.setitem(sys.modules, name, None)  # an import fails
    caplog.set_level(logging.INFO)
    Trainer(drawn_cfg).train()
    folder = Path(drawn_cfg.OUTPUT_DIR)
    assert (folder / "metrics.json").read_text().count("total_loss") == 2
    assert list((folder / "pictures").iterdir())
    assert not list(folder.glob("events*"))
    assert "Curves are in metrics.json alone: pip install 'recseg_d2[tensorboard]'" in caplog.text
