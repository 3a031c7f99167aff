from __future__ import annotations

import pytest
from analysis.saved_runs import data, save_run

from recseg_d2.analysis.ordering import analyse
from recseg_d2.analysis.run_folder import MissingResultsError

LOW_RIGHT, LOW_LEFT, HIGH_LEFT = (14, 30, 20, 40), (14, 0, 20, 9), (0, 0, 6, 8)


def found(*boxes, classes=(0, 0, 0)):
    return [(box, c, 0.9) for box, c in zip(boxes, classes, strict=False)]


def test_tau_by_hand(tmp_path):
    right_to_left_then_up = found(LOW_RIGHT, LOW_LEFT, HIGH_LEFT)
    left_to_right = found(LOW_LEFT, LOW_RIGHT)
    save_run(
        tmp_path, "any", {1: right_to_left_then_up, 2: left_to_right, 3: [], 4: left_to_right[:1]}
    )
    tables = analyse(data(tmp_path)).tables
    rows = {row["sorting"]: row for row in tables["ordering_tau"]}
    assert rows["r2l"]["tau"] == pytest.approx((1 - 1) / 2)
    assert rows["r2l"]["tau_of_all_pairs"] == pytest.approx((3 - 1) / 4)
    assert rows["b2t"]["tau"] == pytest.approx((2 / 3 + 0) / 2)  # one pair is level
    assert rows["l2s"]["tau"] == pytest.approx((1 - 1) / 2)
    assert {row["images"] for row in rows.values()} == {2}
    assert {row["run"] for row in rows.values()} == {tmp_path.name}


def test_pairs_by_category_by_hand(tmp_path):
    ride = found(LOW_RIGHT, HIGH_LEFT, classes=(1, 0))  # the horse first, then the person above
    save_run(tmp_path, "any", {1: ride, 2: ride, 3: found(LOW_LEFT, LOW_RIGHT)})
    rows = analyse(data(tmp_path, min_pairs=1)).tables["ordering_pairs"]
    by_name = {row["classes"]: row for row in rows}
    assert list(by_name) == ["person + horse", "person + person"]  # the frequent one first
    horse = by_name["person + horse"]
    assert (horse["pairs"], horse["r2l"], horse["b2t"], horse["t2b"]) == (2, 1.0, 1.0, 0.0)
    assert (horse["l2s"], horse["s2l"]) == (1.0, 0.0)
    assert by_name["person + person"]["l2r"] == 1.0


def test_rare_pairs_leave_a_note_and_no_plot(tmp_path):
    save_run(tmp_path, "any", {1: found(LOW_LEFT, LOW_RIGHT)})
    result = analyse(data(tmp_path, min_pairs=2))
    assert result.tables["ordering_pairs"] == []
    assert result.plots.keys() == {"ordering_tau"}
    assert "follows each other 2 times" in result.notes[0]


def test_models_without_an_order_are_left_out_by_name(tmp_path):
    save_run(tmp_path / "steps", "any", {1: found(LOW_LEFT, LOW_RIGHT)})
    save_run(tmp_path / "at_once", "any", {1: found(LOW_LEFT, LOW_RIGHT)}, ordered=False)
    result = analyse(data(tmp_path / "steps", tmp_path / "at_once"))
    assert {row["run"] for row in result.tables["ordering_tau"]} == {"steps"}
    assert result.notes[0].startswith("at_once: its model finds all objects at once")
    with pytest.raises(MissingResultsError, match=r"at_once: .* in no order"):
        analyse(data(tmp_path / "at_once"))


def test_single_objects_have_no_order(tmp_path):
    save_run(tmp_path, "any", {1: found(LOW_LEFT), 2: []})
    with pytest.raises(MissingResultsError, match="in no image 2 found objects"):
        analyse(data(tmp_path))


def test_plots_are_written(tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    for name in ("a", "b"):
        save_run(tmp_path / name, "any", {1: found(LOW_LEFT, LOW_RIGHT, HIGH_LEFT)})
    result = analyse(data(tmp_path / "a", tmp_path / "b", min_pairs=1))
    written = {path.name for path in result.write(tmp_path / "out")}
    assert {"ordering_tau.png", "ordering_pairs.png", "ordering_tau.csv"} <= written
