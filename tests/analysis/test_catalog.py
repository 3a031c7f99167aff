from __future__ import annotations

import pytest
from analysis.saved_runs import data, save_metrics, save_run

from recseg_d2.analysis.catalog import ANALYSES, run_analyses
from recseg_d2.analysis.result import AnalysisResult
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.errors import UserError

PAIR = [((0, 0, 5, 5), 0, 0.9), ((10, 20, 20, 30), 0, 0.8)]


def test_each_analysis_gives_a_report_or_what_it_lacks(tmp_path):
    save_run(tmp_path / "run", "not_registered", {1: PAIR})
    save_metrics(tmp_path / "run", [{"iteration": 0, "total_loss": 1.0}])
    found = dict(run_analyses(list(ANALYSES), data(tmp_path / "run")))
    assert list(found) == list(ANALYSES)
    done = {name for name, result in found.items() if isinstance(result, AnalysisResult)}
    assert done == {"ordering", "curves"}
    left = [result for name, result in found.items() if name not in done]
    assert all(isinstance(result, MissingResultsError) and str(result) for result in left)


def test_a_run_without_predictions_is_noted_beside_those_that_have_some(tmp_path):
    save_run(tmp_path / "run", "any", {1: PAIR})
    (tmp_path / "none").mkdir()
    ((_, result),) = run_analyses(["ordering"], data(tmp_path / "none", tmp_path / "run"))
    assert {row["run"] for row in result.tables["ordering_tau"]} == {"run"}
    assert any("none: has neither predictions.json" in note for note in result.notes)


def test_what_is_there_but_wrong_is_an_error(tmp_path):
    path = save_run(tmp_path / "run", "any", {1: PAIR}) / "inference" / "any"
    (path / "predictions_any.json").write_bytes(b"damaged")
    with pytest.raises(UserError, match="is no JSON"):
        list(run_analyses(list(ANALYSES), data(tmp_path / "run")))
