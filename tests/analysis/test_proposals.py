from __future__ import annotations

import json
import math

import numpy as np
import pytest
from analysis.saved_runs import data

from recseg_d2.analysis.proposals import analyse
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.errors import UserError
from recseg_d2.evaluation.segment_proposal import recall_numbers
from recseg_d2.files import save_scores
from recseg_d2.metrics.average_recall import AverageRecall


def save(folder, overlap: float, name: str = "val"):
    """What the evaluator writes about one image with two objects and a proposal for one."""
    recall = AverageRecall(limits=(1, 10))
    recall.update("image", np.array([[overlap, 0.0]]), np.zeros(2, bool), np.full(2, 100.0))
    save_scores(folder / "inference" / name / f"average_recall_{name}.json", recall_numbers(recall))
    return folder


def test_tables_of_several_data(tmp_path):
    result = analyse(data(save(tmp_path / "good", 1.0), save(tmp_path / "bad", 0.6)))
    averages = {
        (row["run"], row["definition"]): row for row in result.tables["proposals_average_recall"]
    }
    assert averages["good", "coco"]["AR@10"] == pytest.approx(50.0)
    assert averages["bad", "coco"]["AR@10"] == pytest.approx(100 * (3 / 10) / 2)  # .5, .55 and .6
    assert averages["bad", "continuous"]["AR@1"] == pytest.approx(100 * 0.2 / 2)
    assert math.isnan(averages["good", "coco"]["AR@1-large"])
    points = [
        r for r in result.tables["proposals_recall"] if (r["run"], r["proposals"]) == ("bad", 1)
    ]
    assert [row["recall"] for row in points] == [
        0.5 if row["iou"] <= 0.6 else 0.0 for row in points
    ]
    assert points[0]["iou"] == 0.5


def test_several_data_sets_are_told_apart(tmp_path):
    save(save(tmp_path / "run", 1.0, "one"), 1.0, "two")
    labels = {row["run"] for row in analyse(data(tmp_path / "run")).tables["proposals_recall"]}
    assert labels == {"run, one", "run, two"}


def test_files_are_written(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    written = analyse(data(save(tmp_path / "run", 1.0))).write(tmp_path / "out")
    assert "proposals_recall.png" in {path.name for path in written}


def test_what_is_missing_or_wrong_is_named(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    with pytest.raises(MissingResultsError, match="segment_proposal"):
        analyse(data(run))
    path = run / "inference" / "average_recall_val.json"
    path.parent.mkdir()
    path.write_text("{")
    with pytest.raises(UserError, match=r"cannot be read \(is no JSON"):
        analyse(data(run))
    path.write_text(json.dumps({"coco": {}}))
    with pytest.raises(UserError, match="lacks continuous, curve"):
        analyse(data(run))
