"""Files of weights in every form that is about, and files that are none or run code."""

from __future__ import annotations

import os
import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch
from torch import nn

from recseg_d2.config import load_config
from recseg_d2.engine.weight_files import SafeCheckpointer, read_checkpoint
from recseg_d2.engine.weights import load_weights
from recseg_d2.errors import UserError
from recseg_d2.safe_pickle import load_npy


class Evil:
    """Makes a folder when a pickle of it is read."""

    def __init__(self, path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def make_model() -> nn.Module:
    return nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))


@pytest.fixture
def state():
    torch.manual_seed(1)
    return make_model().state_dict()


def as_arrays(state):
    return {name: value.numpy() for name, value in state.items()}


def assert_loads(path, state):
    for load in (load_weights, lambda model, file: SafeCheckpointer(model).load(file)):
        model = make_model()
        load(model, str(path))
        for name, value in model.state_dict().items():
            assert torch.equal(value, state[name]), name


FORMS = {
    "model": lambda state: {"model": state, "iteration": 7},
    "k02_module_prefix": lambda state: {f"module.{name}": v for name, v in state.items()},
    "k03_numpy_scalar": lambda state: {
        "model": state,
        "best_ap": np.float64(0.5),
        "counts": [np.int64(3), np.bool_(True), np.float32(2)],
    },
    "k_state_dict_key": lambda state: {"state_dict": state, "epoch": 3},
    "k_model_state_dict_key": lambda state: {"model_state_dict": dict(state), "optimizer": {}},
    "k_epoch_key": lambda state: {"epoch": 7, **state},
    "ordered": lambda state: OrderedDict(state),
    "arrays": lambda state: {"model": as_arrays(state)},
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("ending", ["pth", "pkl"])
def test_weights_in_all_forms(tmp_path, state, form, ending):
    content = FORMS[form](state)
    path = tmp_path / f"weights.{ending}"
    if ending == "pth":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    assert_loads(path, state)


def test_k_no_author_pkl(tmp_path, state):
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path = tmp_path / f"{protocol}.pkl"
        path.write_bytes(pickle.dumps({"model": as_arrays(state)}, protocol=protocol))
        assert_loads(path, state)


def test_numbers_of_numpy_before_2_are_read(tmp_path, state):
    new = tmp_path / "new.pth"
    torch.save({"model": state, "best": np.float64(0.5)}, new)
    old = tmp_path / "old.pth"
    with zipfile.ZipFile(new) as source, zipfile.ZipFile(old, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            target.writestr(name, content.replace(b"numpy._core.multi", b"numpy.core.multi"))
    assert read_checkpoint(old)["best"] == 0.5
    assert_loads(old, state)


def test_caffe2s_names_are_said_to_be_those(tmp_path):
    path = tmp_path / "zoo.pkl"
    blobs = {"conv1_w": np.zeros((2, 2), "f4"), "conv1_b": np.zeros(2, "f4")}
    path.write_bytes(pickle.dumps({"blobs": blobs}))
    assert read_checkpoint(path)["__author__"] == "Caffe2"


@pytest.mark.parametrize("ending", ["pth", "pkl"])
def test_files_with_code_are_refused_unrun(tmp_path, state, ending):
    target, path = tmp_path / "made", tmp_path / f"evil.{ending}"
    content = {"model": {**state, "x": Evil(target)}}
    if ending == "pth":
        torch.save(content, path)
    else:
        path.write_bytes(pickle.dumps(content))
    for load in (
        lambda: load_weights(make_model(), str(path)),
        lambda: SafeCheckpointer(make_model()).load(str(path)),
        lambda: SafeCheckpointer(make_model()).resume_or_load(str(path), resume=False),
    ):
        with pytest.raises(UserError, match=r"evil\..*found \w+\.mkdir in it.*can run code"):
            load()
    assert not target.exists()


def test_a_storage_in_a_pickle_runs_no_code_either(tmp_path):
    import io

    inner = io.BytesIO()
    torch.save(Evil(tmp_path / "made"), inner)

    class Storage:
        def __reduce__(self):
            return torch.storage._load_from_bytes, (inner.getvalue(),)

    (tmp_path / "a.pkl").write_bytes(pickle.dumps({"model": {"x": Storage()}}))
    with pytest.raises(UserError, match=r"a\.pkl: .*mkdir"):
        read_checkpoint(tmp_path / "a.pkl")
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("name", ["../evil.pth", "{}/evil.pth", "", ".", "..", "sub/evil.pth"])
def test_the_last_checkpoint_is_a_file_beside_it(tmp_path, state, name):
    folder = tmp_path / "out"
    (folder / "sub").mkdir(parents=True)
    for place in (tmp_path, folder / "sub"):
        torch.save({"model": state}, place / "evil.pth")
    (folder / "last_checkpoint").write_text(name.format(tmp_path))
    checkpointer = SafeCheckpointer(make_model(), str(folder))
    with pytest.raises(UserError, match=r"last_checkpoint: it names .*expected the name"):
        checkpointer.resume_or_load("", resume=True)


def test_the_last_checkpoint_is_loaded(tmp_path, state, monkeypatch):
    torch.save({"model": state, "iteration": 4}, tmp_path / "model_4.pth")
    (tmp_path / "last_checkpoint").write_text("model_4.pth\n")
    monkeypatch.chdir(tmp_path.parent)
    for folder in (str(tmp_path), tmp_path.name, f"./{tmp_path.name}/"):
        model = make_model()
        rest = SafeCheckpointer(model, folder).resume_or_load("", resume=True)
        assert rest["iteration"] == 4
        assert torch.equal(model[0].weight, state["0.weight"])


@pytest.mark.parametrize("content", [[1, 2], "text", 3, None, torch.zeros(2)])
def test_what_is_no_dict_of_weights(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth: found a \w+, expected a dict of weights"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("content", [{}, {"epoch": 3}, {"model": {"a": 1}}, {1: torch.zeros(1)}])
def test_dicts_without_weights(tmp_path, content):
    torch.save(content, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a\.pth: found no weights, but"):
        read_checkpoint(tmp_path / "a.pth")


@pytest.mark.parametrize("content", [b"", b"no checkpoint", b"\x80\x02", b"PK\x03\x04"])
@pytest.mark.parametrize("ending", ["pth", "pkl"])
def test_damaged_files(tmp_path, content, ending):
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.{ending}: cannot be read as a checkpoint \("):
        read_checkpoint(path)


def test_weights_of_which_nothing_fits(tmp_path):
    path = tmp_path / "a.pth"
    for content in ({"other.weight": torch.zeros(1)}, {"0.weight": torch.zeros(7)}):
        torch.save({"model": content}, path)
        with pytest.raises(UserError, match=r"a\.pth: none of its 1 weights \(.*fits the model"):
            SafeCheckpointer(make_model()).resume_or_load(str(path), resume=False)


def test_k04_weights_of_which_some_fit(tmp_path, state):
    path = tmp_path / "a.pth"
    torch.save({"model": {**state, "1.weight": torch.zeros(9)}}, path)
    model = make_model()
    SafeCheckpointer(model).resume_or_load(str(path), resume=False)
    assert torch.equal(model[0].weight, state["0.weight"])


def test_objects_in_npy_files(tmp_path):
    content = {"masks": np.arange(6).reshape(2, 3), "filename": "a.png", "diameter": np.float32(3)}
    np.save(tmp_path / "a.npy", content)
    np.save(tmp_path / "b.npy", content["masks"])
    assert load_npy(tmp_path / "a.npy")["filename"] == "a.png"
    for found in (load_npy(tmp_path / "a.npy")["masks"], load_npy(tmp_path / "b.npy")):
        np.testing.assert_array_equal(found, content["masks"])
    np.save(tmp_path / "evil.npy", Evil(tmp_path / "made"))
    with pytest.raises(UserError, match=r"evil\.npy: found \w+\.mkdir"):
        load_npy(tmp_path / "evil.npy")
    assert not (tmp_path / "made").exists()


def test_configs_with_code_are_refused_unrun(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(f"OUTPUT_DIR: !!python/object/apply:os.mkdir ['{tmp_path / 'made'}']\n")
    (tmp_path / "b.yaml").write_text(f"_BASE_: {path.name}\n")
    for name in ("config.yaml", "b.yaml"):
        with pytest.raises(UserError, match=rf"{name}: could not determine a constructor"):
            load_config(tmp_path / name)
    assert not (tmp_path / "made").exists()
