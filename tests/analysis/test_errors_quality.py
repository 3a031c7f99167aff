from __future__ import annotations

import math

import pytest
from analysis.saved_runs import data, save_run, standard_dict

from recseg_d2.analysis import errors, quality
from recseg_d2.analysis.run_folder import MissingResultsError

LEFT, RIGHT, TINY = (0, 0, 10, 10), (0, 20, 10, 40), (19, 39, 20, 40)  # 12.5, 25 and 0.125 %
SHIFTED = (0, 3, 10, 10)  # 0.7 with LEFT
ASIDE = (0, 6, 10, 16)  # 0.25 with LEFT
NOWHERE = (12, 10, 15, 12)


@pytest.fixture
def run(register, tmp_path):
    """Two images: of three objects two are found, then one is found twice."""
    truth = [standard_dict(1, [(LEFT, 0), (RIGHT, 1), (TINY, 0)]), standard_dict(2, [(LEFT, 0)])]
    first = [(LEFT, 0, 0.9), (RIGHT, 0, 0.8), (NOWHERE, 1, 0.7)]  # TP, Cls, Bg
    second = [(SHIFTED, 0, 0.9), (LEFT, 0, 0.8), (ASIDE, 0, 0.7), (ASIDE, 1, 0.6)]
    return save_run(tmp_path / "run", register(truth), {1: first, 2: second})


def test_kinds_by_hand(run):
    result = errors.analyse(data(run))
    everything, person, horse = result.tables["errors_kinds"]
    assert [row["class"] for row in (everything, person, horse)] == ["all", "person", "horse"]
    found = {"TP": 2, "Dup": 1, "Loc": 1, "Cls": 1, "Loc+Cls": 1, "Bg": 1, "ignored": 0}
    assert {kind: everything[kind] for kind in found} == found
    assert (everything["objects"], everything["missed"]) == (4, 2)
    assert everything["recall"] == 0.5
    assert everything["precision"] == pytest.approx(2 / 7)
    assert (person["recall"], horse["recall"]) == (pytest.approx(2 / 3), 0.0)
    (shares,) = result.tables["errors_false_positives"]
    assert shares == {"run": "run", "Loc": 0.2, "Bg": 0.2, "Dup": 0.2, "Cls": 0.2, "Loc+Cls": 0.2}


def test_without_classes_nothing_is_misclassified(run):
    (shares,) = errors.analyse(data(run, class_agnostic=True)).tables["errors_false_positives"]
    assert shares["Cls"] == shares["Loc+Cls"] == 0.0


def test_a_stricter_threshold_finds_fewer(run):
    everything = errors.analyse(data(run, iou_thresh=0.75)).tables["errors_kinds"][0]
    assert everything["TP"] == 2  # LEFT itself is found by the exact mask now
    assert everything["Dup"] == 0
    assert everything["Loc"] == 2


def test_no_prediction_at_all(register, tmp_path):
    name = register([standard_dict(1, [(LEFT, 0)])])
    result = errors.analyse(data(save_run(tmp_path, name, {1: []})))
    row = result.tables["errors_kinds"][0]
    assert (row["missed"], row["recall"]) == (1, 0.0)
    assert math.isnan(row["precision"])
    assert math.isnan(result.tables["errors_false_positives"][0]["Loc"])


def test_sizes_by_hand(run):
    rows = {row["percent_to"]: row for row in quality.by_size(data(run)).tables["sizes"]}
    assert rows.keys() == {0.5, 15.0, 25.0}
    small, medium, large = rows.values()
    assert [row["objects"] for row in (small, medium, large)] == [1, 2, 1]
    assert [row["missed"] for row in (small, medium, large)] == [1, 0, 1]
    assert [row["missed_of_bin"] for row in (small, medium, large)] == [1.0, 0.0, 1.0]
    assert [row["share_of_all_missed"] for row in (small, medium, large)] == [0.5, 0.0, 0.5]
    assert [row["iou"] for row in (small, medium, large)] == [0.0, 1.0, 1.0]
    assert (small["percent_from"], medium["percent_from"]) == (0.0, 10.0)


def test_no_true_object_has_no_size(register, tmp_path):
    save_run(tmp_path, register([standard_dict(1, [])]), {1: [(LEFT, 0, 0.9)]})
    with pytest.raises(MissingResultsError, match="no image has a true object"):
        quality.by_size(data(tmp_path))


def test_nothing_missed_has_no_share(register, tmp_path):
    save_run(tmp_path, register([standard_dict(1, [(LEFT, 0)])]), {1: [(LEFT, 0, 0.9)]})
    (row,) = quality.by_size(data(tmp_path)).tables["sizes"]
    assert row["missed"] == 0
    assert math.isnan(row["share_of_all_missed"])


def test_steps_by_hand(run):
    rows = quality.by_step(data(run)).tables["steps"]
    assert [row["step"] for row in rows] == [1, 2, 3, 4]
    assert [row["predictions"] for row in rows] == [2, 2, 2, 1]
    assert [row["iou"] for row in rows] == pytest.approx([0.85, 1.0, 0.125, 0.25])
    assert [row["hits"] for row in rows] == [1.0, 0.0, 0.0, 0.0]
    assert [row["score"] for row in rows] == pytest.approx([0.9, 0.8, 0.7, 0.6])


def test_steps_need_an_order(register, tmp_path):
    name = register([standard_dict(1, [])])
    save_run(tmp_path, name, {1: [(LEFT, 0, 0.9), (RIGHT, 0, 0.8)]}, ordered=False)
    with pytest.raises(MissingResultsError, match="in no order"):
        quality.by_step(data(tmp_path))


def test_steps_need_a_prediction(register, tmp_path):
    save_run(tmp_path, register([standard_dict(1, [(LEFT, 0)])]), {1: []})
    with pytest.raises(MissingResultsError, match="in no image 1 found"):
        quality.by_step(data(tmp_path))


@pytest.mark.parametrize("analyse", [errors.analyse, quality.by_size, quality.by_step])
def test_the_truth_has_to_be_there(analyse, tmp_path):
    save_run(tmp_path, "not_registered", {1: [(LEFT, 0, 0.9), (RIGHT, 0, 0.8)]})
    with pytest.raises(MissingResultsError, match="not registered"):
        analyse(data(tmp_path))


@pytest.mark.parametrize("analyse", [errors.analyse, quality.by_size, quality.by_step])
def test_a_run_that_lacks_something_leaves_the_others(analyse, run, tmp_path):
    other = save_run(tmp_path / "other", "not_registered", {1: [(LEFT, 0, 0.9)]})
    result = analyse(data(run, other))
    assert {row["run"] for table in result.tables.values() for row in table} == {"run"}
    assert "not_registered" in result.notes[0]


@pytest.mark.parametrize("analyse", [errors.analyse, quality.by_size, quality.by_step])
def test_plots_are_written(analyse, run, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    result = analyse(data(run))
    written = result.write(tmp_path / "out")
    assert sum(path.suffix == ".png" for path in written) == len(result.plots) == 1
