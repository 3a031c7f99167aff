from __future__ import annotations

import json

import pytest
from analysis.saved_runs import data, save_metrics

from recseg_d2.analysis.curves import analyse, draw_curves, read_curves, training_loss
from recseg_d2.analysis.run_folder import MissingResultsError

LINES = [
    {"iteration": 19, "total_loss": 2.0, "loss_mask": 1.5, "lr": 0.1, "time": 0.2},
    {"iteration": 39, "total_loss": 1.0, "loss_mask": 0.75, "lr": 0.1},
    {"iteration": 40, "label_map/SBD": 50.0, "label_map/DiC": float("nan")},
]


def test_losses_and_scores_are_read_and_the_rest_is_not():
    curves = read_curves(LINES)
    assert curves == {
        "loss_mask": [(19, 1.5), (39, 0.75)],
        "total_loss": [(19, 2.0), (39, 1.0)],
        "label_map/SBD": [(40, 50.0)],
    }
    assert read_curves(LINES, ("lr", "total_loss")).keys() == {"lr", "total_loss"}


def test_of_repeated_iterations_the_last_counts():
    again = [*LINES, {"iteration": 39, "total_loss": 3.0}, {"iteration": 29, "total_loss": 4.0}]
    assert read_curves(again)["total_loss"] == [(19, 2.0), (29, 4.0), (39, 3.0)]


def test_several_runs_side_by_side(tmp_path):
    first = save_metrics(tmp_path / "first", LINES)
    second = save_metrics(tmp_path / "second", [{"iteration": 5, "total_loss": 7.0}])
    (tmp_path / "none").mkdir()
    result = analyse(data(first, second, tmp_path / "none"))
    summary = {(row["run"], row["key"]): row for row in result.tables["curves_summary"]}
    assert len(summary) == 4
    row = summary["first", "total_loss"]
    assert (row["points"], row["first"], row["last"]) == (2, 2.0, 1.0)
    assert (row["lowest"], row["lowest_at"], row["highest"], row["highest_at"]) == (
        1.0,
        39,
        2.0,
        19,
    )
    assert len(result.tables["curves"]) == 6
    assert "none: has no metrics.json" in result.notes[0]


def test_validation_losses_are_drawn_beside_their_training_losses():
    figure = pytest.importorskip("matplotlib.figure", reason="needs matplotlib").Figure()
    names = ["loss_mask", "total_loss", "val_loss/mask", "val_loss/total_loss", "val_loss/other"]
    assert [training_loss(name, names) for name in names] == [
        *(None, None, "loss_mask", "total_loss", None)
    ]
    curve = [(0, 1.0), (1, 0.5)]
    draw_curves({"run": dict.fromkeys(names, curve)}, names, figure)
    lines = {axes.get_title(): len(axes.get_lines()) for axes in figure.axes}
    assert lines == {"loss_mask": 2, "total_loss": 2, "val_loss/other": 1}


def test_files_are_written(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    result = analyse(data(save_metrics(tmp_path / "run", LINES)))
    names = {path.name for path in result.write(tmp_path / "out")}
    tables = {f"{name}.{kind}" for name in ("curves", "curves_summary") for kind in ("csv", "json")}
    assert names == tables | {"curves.png"}
    saved = json.loads((tmp_path / "out" / "curves.json").read_text())
    assert saved[0] == {"run": "run", "key": "loss_mask", "iteration": 19, "value": 1.5}


def test_what_is_not_there_is_missing(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MissingResultsError, match=r"no metrics.json"):
        analyse(data(tmp_path / "empty"))
    with pytest.raises(MissingResultsError, match="found no nonsense"):
        analyse(data(save_metrics(tmp_path / "run", LINES), keys=("nonsense",)))
