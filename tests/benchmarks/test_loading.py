"""Loading and training are both timed; how fast they are is not asserted."""

from __future__ import annotations

import json

from benchmarks.loading import main
from recseg_d2.cli import run

TINY = [
    *("--size", "48", "--repeats", "1", "MODEL.DEVICE", "cpu", "MODEL.SEQUENTIAL.STEPS", "2"),
    *("MODEL.SMALL_ENCODER.WIDTHS", "(4, 6)", "MODEL.RSIS.HIDDEN_WIDTHS", "(6, 4)"),
    *("SOLVER.IMS_PER_BATCH", "2", "SEED", "1"),
]


def test_a_row_for_each_config(tmp_path, capsys):
    out = tmp_path / "numbers.json"
    files = ["--config-file", "rsis_small.yaml", "dense_small.yaml"]
    assert run(main, [*files, *TINY, "--output", str(out)]) == 0
    rows = json.loads(out.read_text())
    assert [(r["config"], r["batch"]) for r in rows] == [("rsis_small", 2), ("dense_small", 2)]
    assert all(r["loaded images/s"] > 0 and r["trained images/s"] > 0 for r in rows)
    assert "ratio" in capsys.readouterr().out


def test_wrong_options_are_named(capsys):
    assert run(main, [*TINY, "--repeats", "0"]) == 2
    assert "--repeats is 0" in capsys.readouterr().err
