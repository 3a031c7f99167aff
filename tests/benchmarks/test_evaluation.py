"""What is measured is not asserted; that all versions give the same scores is."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks import evaluation
from benchmarks.evaluation import made_coco, made_label_map, main
from recseg_d2.cli import run

SMALL = ["--objects", "4", "--image-size", "40", "50", "--coco-images", "3", "--repeats", "1"]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(evaluation, "COCO_SHAPE", (96, 128))


def test_all_versions_give_the_same_scores(small, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    assert run(main, [*SMALL, "--output", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert [r["version"] for r in rows][:3] == ["this package", "loop over pairs", "pycocotools"]
    assert all(r["equal"] and r["seconds"] > 0 for r in rows)
    assert 0 < rows[0]["SBD"] < 100
    assert 0 < rows[2]["AP"] < 100
    assert "loop over pairs" in capsys.readouterr().out


def test_without_faster_coco_eval_pycocotools_is_timed_alone(small, monkeypatch):
    monkeypatch.setattr(evaluation.importlib.util, "find_spec", lambda name: None)
    (row,) = evaluation.coco_rows(made_coco(np.random.default_rng(0), 2), 1)
    assert row["version"] == "pycocotools"


def test_other_scores_are_seen(monkeypatch):
    maps = [made_label_map(np.random.default_rng(n), 3, (30, 30)) for n in (0, 1)]
    monkeypatch.setattr(evaluation, "loop_scores", lambda *maps: {"SBD": 1, "MWCov": 1, "MUCov": 1})
    assert [row["equal"] for row in evaluation.label_map_rows(*maps, 1)] == [True, False]


def test_wrong_options_are_named(capsys):
    assert run(main, [*SMALL, "--objects", "0"]) == 2
    assert "expected 1 or more of each" in capsys.readouterr().err
