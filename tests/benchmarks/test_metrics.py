"""What is measured is not asserted; that both sides do the same work is."""

from __future__ import annotations

import json
import math

import pytest

from benchmarks import metrics
from benchmarks.metrics import (
    make_scenes,
    metric_rows,
    official_is_installed,
    official_scores,
    our_scores,
)
from benchmarks.run import main
from recseg_d2.cli import run


@pytest.fixture
def small(monkeypatch):
    """Images of an eighth of the size, so that only the numbers take time."""
    monkeypatch.setattr(metrics, "SHAPE", (256, 512))


def test_scenes_are_made_from_a_seed(small, tmp_path):
    first, again, other = (make_scenes(tmp_path / n, 1, seed=int(n[1])) for n in ("a1", "b1", "c2"))
    read = [f[0].truth.read_bytes() + f[0].submission.read_bytes() for f in (first, again, other)]
    assert read[0] == read[1] != read[2]


@pytest.mark.filterwarnings("ignore:Mean of empty slice")
def test_both_sides_agree(small, tmp_path):
    pytest.importorskip(
        "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling",
        reason="needs cityscapesscripts (extra: dev)",
    )
    files = make_scenes(tmp_path, 2)
    ours = our_scores(files)
    assert 0 < ours["average"] < 1
    assert ours == pytest.approx(official_scores(files), abs=1e-9, nan_ok=True)


def test_a_row_for_each_version(small):
    rows = metric_rows(images=1, repeats=1)
    assert rows[0]["version"] == "this package"
    assert len(rows) == 1 + official_is_installed()
    assert all(r["seconds"] > 0 and not math.isnan(r["AP"]) for r in rows)


def test_without_the_official_scripts_ours_are_timed_alone(small, monkeypatch):
    monkeypatch.setattr(metrics, "official_is_installed", lambda: False)
    (row,) = metric_rows(images=1, repeats=1)
    assert row["times official"] is None


def test_by_command_line(small, tmp_path, capsys):
    out = tmp_path / "numbers.json"
    assert run(main, ["--metrics", "1", "--repeats", "1", "--output", str(out)]) == 0
    assert json.loads(out.read_text())[0]["metric"] == "Cityscapes AP"
    assert "this package" in capsys.readouterr().out
    assert run(main, ["--metrics", "0"]) == 2
    assert "--metrics is 0; expected 1 or more" in capsys.readouterr().err
