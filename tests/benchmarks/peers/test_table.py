from __future__ import annotations

import json
import math

import pytest

from benchmarks.peers.table import main, markdown, read_results, rows
from recseg_d2.errors import UserError

EXPERIMENT = {
    "name": "cells",
    "objects": [2, 20],
    "minutes": 40,
    "threads": 2,
    "counts": {"train": 30, "val": 2},
}


def result(method, seed, sbd, counts, ap):
    return {
        "method": method,
        "seed": seed,
        "training": {"cpu_minutes": 39.0 + seed, "wall_minutes": 21.0, "threads": 2},
        "prediction": {"cpu_ms": 12.34, "wall_ms": 15.0, "parameters": 2_840_000},
        "images": {
            name: {"SBD": value, "DiC": -count, "absDiC": count}
            for name, value, count in zip("ab", sbd, counts, strict=True)
        },
        "AP50": ap,
        "AP50_error": 2.0,
        "commands": ["train it", "use it"],
    }


RESULTS = [
    result("theirs", 0, (70.0, 80.0), (1, 0), 60.0),
    result("ours", 0, (80.0, 90.0), (0, 2), 70.0),
    result("ours", 1, (82.0, 96.0), (0, 0), 74.0),
]


@pytest.fixture
def folder(tmp_path):
    for number, one in enumerate(RESULTS):
        place = tmp_path / "cells" / f"run{number}" / "result.json"
        place.parent.mkdir(parents=True)
        place.write_text(json.dumps(one))
    (tmp_path / "cells" / "experiment.json").write_text(json.dumps(EXPERIMENT))
    return tmp_path / "cells"


def test_numbers_by_hand():
    ours, theirs = rows(RESULTS)
    assert (ours["method"], theirs["method"]) == ("ours", "theirs")
    assert ours["seeds"] == 2
    assert ours["SBD"] == 87  # of images 81 and 93, of seeds 85 and 89
    assert ours["SBD_error"] == pytest.approx(6)
    assert ours["SBD_seeds"] == pytest.approx(math.sqrt(8))
    assert ours["absDiC"] == 0.5
    assert ours["AP50"] == 72
    assert ours["cpu_minutes"] == 39.5
    assert theirs["SBD_error"] == pytest.approx(5)
    assert theirs["SBD_seeds"] is None
    assert theirs["AP50_error"] == 2


def test_markdown_has_a_row_a_method_and_its_commands():
    text = markdown(EXPERIMENT, rows(RESULTS))
    heading = text.splitlines()[0]
    assert heading == (
        "## cells, 30 training and 2 validation images, 2 to 20 objects, "
        "40 CPU minutes on 2 threads"
    )
    cells = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    assert cells[0][:4] == ["method", "SBD", "abs DiC", "AP50"]
    ours, theirs = cells[2], cells[3]
    assert ours[:4] == [
        "ours",
        "87.0 ± 6.0 (seeds ± 2.8)",
        "0.50 ± 0.50 (seeds ± 0.71)",
        "72.0 ± 2.0 (seeds ± 2.8)",
    ]
    assert theirs == [
        "theirs", "75.0 ± 5.0", "0.50 ± 0.50", "60.0 ± 2.0", "1", "39.0", "21.0", "2", "12.3",
        "2.84 M", "2",
    ]  # fmt: skip
    assert text.count("train it\nuse it") == 2


def test_the_tables_of_folders_and_their_numbers(folder, tmp_path, capsys):
    main([str(folder), str(folder), "--json", str(tmp_path / "tables.json")])
    assert capsys.readouterr().out.count("## cells") == 2
    tables = json.loads((tmp_path / "tables.json").read_text())
    assert len(tables) == 2
    assert tables[0]["experiment"] == EXPERIMENT
    assert [row["method"] for row in tables[0]["rows"]] == ["ours", "theirs"]


def test_folders_without_an_experiment_or_result_are_named(folder, tmp_path):
    with pytest.raises(UserError, match=r"found no experiment\.json"):
        read_results(tmp_path)
    for place in folder.glob("*/result.json"):
        place.unlink()
    with pytest.raises(UserError, match=r"found no result\.json"):
        read_results(folder)
