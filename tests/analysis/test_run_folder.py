from __future__ import annotations

import pytest
from analysis.saved_runs import save_metrics

from recseg_d2.analysis.run_folder import MissingResultsError, open_runs
from recseg_d2.config import get_recseg_cfg
from recseg_d2.errors import UserError


def test_names_are_as_long_as_it_takes_to_tell_runs_apart(tmp_path):
    folders = [tmp_path / a / b for a, b in (("one", "run"), ("two", "run"), ("two", "other"))]
    for folder in folders:
        folder.mkdir(parents=True)
    assert [run.name for run in open_runs(folders)] == ["one/run", "two/run", "two/other"]
    assert [run.name for run in open_runs(folders[1:])] == ["run", "other"]


def test_folders_that_are_not_there_or_named_twice_are_refused(tmp_path):
    with pytest.raises(UserError, match="nowhere: there is no such folder"):
        open_runs([tmp_path / "nowhere"])
    with pytest.raises(UserError, match="named twice"):
        open_runs([tmp_path, tmp_path / "."])


def test_what_is_missing_is_named_with_the_phases_that_may_have_it(tmp_path):
    (run,) = open_runs([tmp_path])
    for what in (run.prediction_files, run.metrics, run.config, run.weights):
        with pytest.raises(MissingResultsError, match="has n"):
            what()
    (tmp_path / "1_masks").mkdir()
    (tmp_path / "1_masks" / "config.yaml").write_text("")
    with pytest.raises(MissingResultsError, match=r"metrics.json .* its phases are in 1_masks"):
        run.metrics()


def test_weights_are_those_of_the_training_or_those_evaluated(tmp_path):
    evaluated = tmp_path / "elsewhere.pth"
    evaluated.touch()
    cfg = get_recseg_cfg()
    cfg.MODEL.WEIGHTS = str(evaluated)
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(cfg.dump())
    (run,) = open_runs([folder])
    assert (run.weights(), run.was_trained_here()) == (evaluated, False)
    (folder / "model_final.pth").touch()
    assert (run.weights(), run.was_trained_here()) == (folder / "model_final.pth", True)
    (folder / "model_final.pth").unlink()
    evaluated.unlink()
    with pytest.raises(MissingResultsError, match=r"no model_final.pth.*elsewhere.pth"):
        run.weights()


@pytest.mark.parametrize("line", ["{half", "[1]", '{"loss": 1}'])
def test_damaged_metrics_are_refused_by_line(tmp_path, line):
    save_metrics(tmp_path, [{"iteration": 0}])
    with open(tmp_path / "metrics.json", "a") as file:
        file.write(line)
    with pytest.raises(UserError, match=r"metrics.json, line 2"):
        open_runs([tmp_path])[0].metrics()


def test_empty_metrics_are_missing(tmp_path):
    save_metrics(tmp_path, [])
    with pytest.raises(MissingResultsError, match="empty"):
        open_runs([tmp_path])[0].metrics()
