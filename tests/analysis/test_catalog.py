from __future__ import annotations

import pytest
from analysis.saved_runs import runs, save_metrics, save_run

from recseg_d2.analysis.catalog import ANALYSES, run_analyses
from recseg_d2.analysis.report import Report
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.analysis.subjects import Options
from recseg_d2.errors import UserError

PAIR = [((0, 0, 5, 5), 0, 0.9), ((10, 20, 20, 30), 0, 0.8)]


def test_each_analysis_gives_a_report_or_what_it_lacks(tmp_path):
    save_run(tmp_path / "run", "not_registered", {1: PAIR})
    save_metrics(tmp_path / "run", [{"iteration": 0, "total_loss": 1.0}])
    results = dict(run_analyses(ANALYSES, runs(tmp_path / "run"), Options()))
    assert tuple(results) == ANALYSES
    done = {name for name, result in results.items() if isinstance(result, Report)}
    assert done == {"ordering", "curves"}
    left = [result for name, result in results.items() if name not in done]
    assert all(isinstance(result, MissingResultsError) and str(result) for result in left)


def test_a_run_without_predictions_is_noted_beside_those_that_have_some(tmp_path):
    save_run(tmp_path / "run", "any", {1: PAIR})
    (tmp_path / "none").mkdir()
    found = runs(tmp_path / "none", tmp_path / "run")
    ((_, report),) = run_analyses(["ordering"], found, Options())
    assert {row["run"] for row in report.tables["ordering_tau"]} == {"run"}
    assert any("none: has no inference" in note for note in report.notes)


def test_what_is_there_but_wrong_is_an_error(tmp_path):
    path = save_run(tmp_path / "run", "any", {1: PAIR}) / "inference" / "any"
    (path / "predictions_any.json.gz").write_bytes(b"damaged")
    with pytest.raises(UserError, match="cannot be read"):
        list(run_analyses(ANALYSES, runs(tmp_path / "run"), Options()))
