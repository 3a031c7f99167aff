"""Checkpoints of this package and of the model zoo, on either Detectron2."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
import torch
from detectron2.checkpoint import DetectionCheckpointer, PeriodicCheckpointer
from detectron2.checkpoint.c2_model_loading import align_and_update_state_dicts
from torch import nn


class Counter:
    """A checkpointable."""

    def __init__(self) -> None:
        self.count = 0

    def state_dict(self) -> dict:
        return {"count": self.count}

    def load_state_dict(self, state: dict) -> None:
        self.count = state["count"]


def make_model() -> nn.Module:
    model = nn.Module()
    model.backbone = nn.Module()
    model.backbone.stem = nn.Module()
    model.backbone.stem.conv1 = nn.Conv2d(1, 2, 1)
    model.backbone.res2 = nn.Sequential(nn.Module())
    model.backbone.res2[0].conv1 = nn.Conv2d(2, 2, 1, bias=False)
    model.register_buffer("pixel_mean", torch.zeros(1))
    return model


def test_saves_and_resumes(tmp_path):
    model, counter = make_model(), Counter()
    counter.count = 5
    checkpointer = DetectionCheckpointer(model, str(tmp_path), counter=counter)
    PeriodicCheckpointer(checkpointer, period=2, max_iter=4).step(1, note="extra")
    fresh, fresh_counter = make_model(), Counter()
    other = DetectionCheckpointer(fresh, str(tmp_path), counter=fresh_counter)
    assert other.has_checkpoint()
    rest = other.resume_or_load("", resume=True)
    assert (rest["iteration"], rest["note"], fresh_counter.count) == (1, "extra", 5)
    for name, value in fresh.state_dict().items():
        assert torch.equal(value, model.state_dict()[name])


def test_weights_alone_do_not_bring_the_rest(tmp_path):
    counter = Counter()
    counter.count = 5
    saver = DetectionCheckpointer(make_model(), str(tmp_path), counter=counter)
    saver.save("first")
    fresh = Counter()
    loader = DetectionCheckpointer(make_model(), counter=fresh)
    loader.resume_or_load(str(tmp_path / "first.pth"), resume=False)
    assert fresh.count == 0


def test_no_path_is_no_checkpoint():
    assert DetectionCheckpointer(make_model()).load("") == {}


def test_bare_state_dicts_load_with_and_without_a_wrapper_prefix(tmp_path):
    model = make_model()
    state = model.state_dict()
    for prefix in ("", "module."):
        path = str(tmp_path / f"{prefix}bare.pth")
        torch.save({prefix + name: value for name, value in state.items()}, path)
        fresh = make_model()
        DetectionCheckpointer(nn.DataParallel(fresh)).load(path)
        assert torch.equal(fresh.backbone.stem.conv1.weight, model.backbone.stem.conv1.weight)


def test_names_are_matched_only_on_request(tmp_path):
    weight = torch.full((2, 1, 1, 1), 3.0)
    path = str(tmp_path / "other.pth")
    torch.save({"model": {"stem.conv1.weight": weight}}, path)
    model = make_model()
    before = model.backbone.stem.conv1.weight.clone()
    DetectionCheckpointer(model).load(path)
    assert torch.equal(model.backbone.stem.conv1.weight, before)
    DetectionCheckpointer(model).load(path + "?matching_heuristics=True")
    assert torch.equal(model.backbone.stem.conv1.weight, weight)
    with pytest.raises(ValueError, match="unknown"):
        DetectionCheckpointer(model).load(path + "?unknown=1")


def test_zoo_pickles_load(tmp_path):
    path = tmp_path / "zoo.pkl"
    weights = {"stem.conv1.bias": np.array([1.0, 2.0], dtype=np.float32)}
    data = {"model": weights, "__author__": "zoo", "matching_heuristics": True}
    path.write_bytes(pickle.dumps(data))
    model = make_model()
    DetectionCheckpointer(model).load(str(path))
    assert model.backbone.stem.conv1.bias.tolist() == [1, 2]


def test_the_longest_name_is_taken():
    model = {"a.res2.fine.weight": torch.zeros(1), "a.fine.weight": torch.zeros(1)}
    loaded = {"fine.weight": torch.tensor([1.0]), "res2.fine.weight": torch.tensor([2.0])}
    aligned = align_and_update_state_dicts(model, loaded)
    assert aligned == {"a.fine.weight": 1, "a.res2.fine.weight": 2}


def test_names_that_match_nothing_or_too_much():
    weight = torch.zeros(1)
    same = align_and_update_state_dicts({"a": weight}, {"b": weight})
    assert list(same) == ["b"]
    wrong = align_and_update_state_dicts({"x.a": torch.zeros(2)}, {"a": weight})
    assert list(wrong) == ["a"]
    with pytest.raises(ValueError, match="checkpoint"):
        align_and_update_state_dicts({"x.a": weight, "y.a": weight}, {"a": weight})


def test_a_file_with_code_is_refused(tmp_path):
    path = tmp_path / "code.pth"
    torch.save({"model": {}, "thing": pytest.param}, path)
    with pytest.raises(pickle.UnpicklingError):
        DetectionCheckpointer(make_model()).load(str(path))
