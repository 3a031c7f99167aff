from __future__ import annotations

import shutil
import sys
from importlib import metadata

import pytest
import torch

import recseg_d2
from recseg_d2.cli import __main__, doctor
from recseg_d2.engine.environment import EXTRAS, Installed
from recseg_d2.errors import UserError


@pytest.fixture
def packages(monkeypatch):
    """What is installed, as a list to change: all that is needed and no extra's."""
    found = [Installed("torch", "2.13.0", ">=2.6", True)]
    found += [Installed(f"{extra}-library", "", "", False, extra) for extra in EXTRAS]
    monkeypatch.setattr(doctor, "installed", lambda: found)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    return found


def test_extras_that_are_missing_are_advice(packages, capsys):
    assert doctor.main([]) == 0
    out = capsys.readouterr().out
    for extra in EXTRAS:
        assert f"{extra}-library missing" in out
        assert f"pip install 'recseg_d2[{extra}]'" in out


def test_nothing_has_to_be_done_where_all_is_there(packages, capsys):
    packages[:] = [Installed(one.name, "1", "", True, one.extra) for one in packages]
    assert doctor.main([]) == 0
    assert capsys.readouterr().out.rstrip().endswith("Nothing has to be done.")


def test_an_old_requirement_is_an_error(packages, capsys):
    packages[0] = Installed("torch", "2.5.1", ">=2.6", False)
    assert doctor.main([]) == 1
    out = capsys.readouterr().out
    assert "torch>=2.6 is needed, but 2.5.1 is installed: pip install 'torch>=2.6'" in out


def test_a_damaged_model_is_an_error(packages, capsys, monkeypatch):
    def damaged(name):
        raise UserError(f"{name} is damaged.")

    monkeypatch.setattr(doctor.model_zoo, "get_checkpoint", damaged)
    assert doctor.main([]) == 1
    assert "- nuclei is damaged." in capsys.readouterr().out


def test_an_installation_older_than_the_code_is_named(packages, capsys):
    packages.pop()
    assert doctor.main([]) == 0
    assert f"does not know {list(EXTRAS)[-1]}: install" in capsys.readouterr().out


def test_code_that_is_not_installed_is_named(packages, capsys):
    packages.clear()
    assert doctor.main([]) == 0
    assert "runs from a folder and is not installed" in capsys.readouterr().out


def test_a_gpu_that_pytorch_cannot_use_is_named(packages, capsys, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    assert doctor.main([]) == 0
    assert "This machine has an NVIDIA driver" in capsys.readouterr().out


def is_distribution():
    """Whether the package is installed, and not a folder on PYTHONPATH."""
    try:
        return bool(metadata.version("recseg_d2"))
    except metadata.PackageNotFoundError:
        return False


def test_versions_are_those_that_run(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["recseg", "--version"])
    assert __main__.main() == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["recseg_d2"] == recseg_d2.__version__
    assert lines["torch"] == torch.__version__
    assert {"detectron2", "python", "platform"} <= lines.keys()
    if is_distribution():  # else nothing says what it requires
        assert {"scipy", "pycocotools"} <= lines.keys()
