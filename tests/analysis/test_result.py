from __future__ import annotations

import csv
import json

import pytest

from recseg_d2.analysis.result import AnalysisResult


def test_tables_are_written_as_csv_and_json(tmp_path):
    rows = [{"name": "a, b", "value": 0.5}, {"name": "c", "value": float("nan")}]
    paths = AnalysisResult({"table": rows}).write(tmp_path / "made")
    assert [path.name for path in paths] == ["table.csv", "table.json"]
    with open(paths[0], newline="") as file:
        assert list(csv.DictReader(file)) == [
            {"name": "a, b", "value": "0.5"},
            {"name": "c", "value": ""},
        ]
    assert json.loads(paths[1].read_text()) == [rows[0], {"name": "c", "value": None}]


def test_an_empty_table_is_a_file_too(tmp_path):
    csv_path, json_path = AnalysisResult({"table": []}).write(tmp_path)
    assert csv_path.read_text().strip() == ""
    assert json.loads(json_path.read_text()) == []


def test_plots_can_be_left_out(tmp_path):
    result = AnalysisResult(plots={"plot": lambda figure: pytest.fail("drawn")})
    assert result.write(tmp_path, with_plots=False) == []
