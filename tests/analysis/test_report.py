from __future__ import annotations

import csv
import json
import sys

import pytest

from recseg_d2.analysis.report import Report, check_matplotlib, grouped_bars
from recseg_d2.errors import UserError


def test_tables_are_written_as_csv_and_json(tmp_path):
    rows = [{"name": "a, b", "value": 0.5}, {"name": "c", "value": float("nan")}]
    paths = Report({"table": rows}).write(tmp_path / "made")
    assert [path.name for path in paths] == ["table.csv", "table.json"]
    with open(paths[0], newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"name": "a, b", "value": "0.5"},
            {"name": "c", "value": ""},
        ]
    assert json.loads(paths[1].read_text()) == [rows[0], {"name": "c", "value": None}]


def test_an_empty_table_is_a_file_too(tmp_path):
    csv_path, json_path = Report({"table": []}).write(tmp_path)
    assert csv_path.read_text().strip() == ""
    assert json.loads(json_path.read_text()) == []


def test_plots_can_be_left_out(tmp_path):
    report = Report(plots={"plot": lambda figure: pytest.fail("drawn")})
    assert report.write(tmp_path, with_plots=False) == []


def test_matplotlib_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"recseg_d2\[plots\].*--no-plots"):
        check_matplotlib()
    with pytest.raises(UserError, match="matplotlib"):
        Report(plots={"plot": lambda figure: None}).write(tmp_path)


def test_bars_stand_side_by_side():
    figure = pytest.importorskip("matplotlib.figure", reason="needs matplotlib").Figure()
    axes = figure.subplots()
    grouped_bars(axes, ["x", "y"], {"a": [1.0, -1.0], "b": [0.5, float("nan")]})
    places = sorted((patch.get_x(), patch.get_width()) for patch in axes.patches)
    ends = [x + width for x, width in places]
    assert all(end <= start + 1e-9 for end, (start, _) in zip(ends, places[1:], strict=False))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["x", "y"]
