from __future__ import annotations

import ast
from importlib import metadata

import pytest

from recseg_d2.engine import environment

LINES = [
    "torch>=2.6",
    "numpy",
    'plots-library; extra == "plots"',
    'tool-of-developers; extra == "dev"',
]
VERSIONS = {"torch": "2.5.1+cpu", "numpy": "2.3.5"}


@pytest.fixture
def installation(monkeypatch):
    """An installation with those requirements and those packages."""

    def version(name):
        if name not in VERSIONS:
            raise metadata.PackageNotFoundError(name)
        return VERSIONS[name]

    monkeypatch.setattr(metadata, "requires", lambda name: LINES)
    monkeypatch.setattr(metadata, "version", version)


def test_what_is_installed_missing_and_too_old(installation):
    torch, numpy, plots = environment.installed()
    assert (torch.found, torch.wanted, torch.usable) == ("2.5.1+cpu", ">=2.6", False)
    assert (numpy.found, numpy.wanted, numpy.usable) == ("2.3.5", "", True)
    assert (plots.name, plots.found, plots.usable) == ("plots-library", "", False)
    assert plots.extra == "plots"


def test_a_package_that_is_not_installed_has_no_requirements(monkeypatch):
    def requires(name):
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "requires", requires)
    assert environment.installed() == []


def test_local_builds_and_releases_to_come_count(monkeypatch, installation):
    monkeypatch.setitem(VERSIONS, "torch", "2.6.0+cu124")
    assert environment.installed()[0].usable
    monkeypatch.setitem(VERSIONS, "torch", "2.14.0a0+git123")
    assert environment.installed()[0].usable


def test_every_extra_of_the_setup_script_is_explained(root):
    tree = ast.parse((root / "setup.py").read_text())
    named = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "EXTRAS"
    }
    assert list(named["EXTRAS"]) == list(environment.EXTRAS)


def test_the_backend_is_named(monkeypatch):
    monkeypatch.setenv("RECSEG_D2_BACKEND", "auto")
    assert environment.backend().endswith("(RECSEG_D2_BACKEND=auto)")
