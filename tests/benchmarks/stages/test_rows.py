"""``--stages``: all stages of all models; how long they take is not asserted."""

from __future__ import annotations

import json
from collections import Counter

import pytest
import torch

from benchmarks import machine
from benchmarks.configs import image_size_options
from benchmarks.device.settings import Settings
from benchmarks.measuring import OURS, THEIRS, MeasureOptions
from benchmarks.run import main
from benchmarks.stages.places import places
from benchmarks.stages.rows import WHOLE, medians, stage_rows, stage_table
from benchmarks.stages.shares import share_rows
from recseg_d2.cli import run
from recseg_d2.errors import UserError

SETTINGS = Settings(torch.device("cpu"), tiny=True)
SMALL = [
    *image_size_options(16, 16),
    *("MODEL.INSTANCE_FCN.HEAD.WINDOW", "5", "MODEL.INSTANCE_FCN.TEST.SCALES", "(24, 28)"),
]
QUICK = MeasureOptions(batch_size=2, repeats=1, memory=False)
BEFORE, AFTER = ["data", "inputs"], ["losses", "backward", "optimiser", "rest"]
RIS = ["pre-processor", "box network", "windows", "segmentation", "canvas, scores"]
DENSE = ["encoder", "canvases", "heat", "windows", "window network"]
STAGES = {
    ("rsis_synthetic.yaml", "inference"): ["encoder", "steps", "post-processing", "rest"],
    ("rsis_synthetic.yaml", "training"): ["encoder", "steps", "matching", *AFTER],
    ("ris_synthetic.yaml", "inference"): [*RIS, "post-processing", "rest"],
    ("ris_synthetic.yaml", "training"): [*RIS, "matching", *AFTER],
    ("instancefcn_synthetic.yaml", "inference"): [
        *("encoder", "heads", "assembling", "boxes", "suppression", "pasting"),
        *("post-processing", "rest"),
    ],
    ("instancefcn_synthetic.yaml", "training"): [
        *("encoder", "heads", "assembling", "matching"),
        *AFTER,
    ],
    ("dense_synthetic.yaml", "inference"): [*DENSE, "post-processing", "rest"],
    ("dense_synthetic.yaml", "training"): [*DENSE, *AFTER],
}
WITHOUT_LITERAL = {
    ("instancefcn_synthetic.yaml", "training"),
    ("dense_synthetic.yaml", "inference"),
    ("dense_synthetic.yaml", "training"),
}


@pytest.fixture(autouse=True)
def _small_matrices(monkeypatch):
    monkeypatch.setattr(machine, "SIDE", 128)
    yield
    machine.matrix_gflops.cache_clear()  # of small matrices, for nobody else


@pytest.mark.parametrize(("file", "mode"), STAGES, ids=lambda x: x.split("_")[0])
def test_every_stage_is_entered_and_all_together_are_the_whole(file, mode):
    rows = stage_rows("x", SETTINGS.config(file, *SMALL), mode, QUICK)
    versions = [OURS] if (file, mode) in WITHOUT_LITERAL else [OURS, THEIRS]
    assert list(dict.fromkeys(row["version"] for row in rows)) == versions
    for version in versions:
        *stages, whole = (row for row in rows if row["version"] == version)
        assert [row["stage"] for row in stages] == [*BEFORE, *STAGES[file, mode]]
        assert whole["stage"] == WHOLE
        for column in ("ms an image", "share %", "GFLOP an image"):
            assert sum(row[column] for row in stages) == pytest.approx(whole[column])
        assert whole["images/s"] == pytest.approx(1000 / whole["ms an image"])
        assert all(row["ms an image"] > 0 for row in stages)
        computed = {row["stage"] for row in stages if row["GFLOP an image"]}
        assert computed & {"encoder", "pre-processor"}
        assert ("backward" in computed) == (mode == "training")
        for row in stages:
            beside = len(versions) > 1 and row["stage"] not in ("data", "rest")
            assert (row["times literal"] is not None) == beside
            assert (row["% of matrix peak"] > 0) == (row["stage"] in computed)


def test_a_model_whose_stages_nobody_named_is_refused():
    with pytest.raises(UserError, match="META_ARCHITECTURE is Other; expected one of ConvLSTM"):
        places("Other", "training")


def test_medians_are_of_each_stage_in_the_order_of_the_tables():
    found = medians(
        [
            Counter({"rest": 1.0, "data": 5.0}),
            Counter({"rest": 3.0, "data": 1.0, "losses": 4.0}),
            Counter({"rest": 2.0, "data": 2.0, "losses": 6.0}),
        ]
    )
    assert list(found.items()) == [("data", 2.0), ("losses", 4.0), ("rest", 2.0)]


def test_shares_and_ratios():
    seconds = {"data": 0.1, "steps": 0.2, "rest": 0.1, WHOLE: 0.4}
    rows = stage_table(seconds, {"data": 9.0, "steps": 0.5, "rest": 9.0, WHOLE: 1.0})
    assert [row["ms an image"] for row in rows] == pytest.approx([100, 200, 100, 400])
    assert [row["share %"] for row in rows] == pytest.approx([25, 50, 25, 100])
    assert [row["times literal"] for row in rows] == [None, 2.5, None, 2.5]
    assert rows[-1]["images/s"] == pytest.approx(2.5)
    assert [row["times literal"] for row in stage_table(seconds, {})] == [None] * 4


def test_models_and_modes_side_by_side():
    def row(mode, version, stage, share, **more):
        labels = {"config": "a", "precision": "float32", "mode": mode, "version": version}
        return {**labels, "stage": stage, "share %": share, **more}

    rows = [
        row("inference", OURS, "data", 40.0),
        row("inference", OURS, "rest", 60.0),
        row("inference", OURS, WHOLE, 100.0, **{"ms an image": 7.0, "times literal": 2.0}),
        row("inference", THEIRS, "data", 99.0),
        {**row("training", OURS, "backward", 100.0), "precision": "bfloat16"},
    ]
    inference, training = "a\ninference", "a\ntraining, bfloat16"
    assert share_rows(rows) == [
        {"share %": "data", inference: 40.0},
        {"share %": "backward", training: 100.0},
        {"share %": "rest", inference: 60.0},
        {"share %": "ms an image", inference: 7.0},
        {"share %": "times literal", inference: 2.0},
    ]


def test_the_tool_writes_table_and_plot(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    out, plot = tmp_path / "numbers.json", tmp_path / "stages.webp"
    options = ["--stages", "--config-file", "rsis_synthetic.yaml", "--threads", "1"]
    quick = ["--batch-size", "1", "--repeats", "1", "--no-memory", "--image-size", "32", "32"]
    files = ["--output", str(out), "--plot", str(plot)]
    assert run(main, [*options, *quick, *files, *SETTINGS.options("rsis_synthetic.yaml")]) == 0
    rows = json.loads(out.read_text())
    assert {row["mode"] for row in rows} == {"inference", "training"}
    assert {row["precision"] for row in rows} == {"float32"}
    assert plot.read_bytes()[8:12] == b"WEBP"
    printed = capsys.readouterr().out
    assert printed.startswith("PyTorch ")
    assert printed.count("post-processing") == 3  # of both versions, and side by side


def test_the_machine_comes_first_and_then_what_it_cannot_do(monkeypatch, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
    out, plot = tmp_path / "numbers.json", tmp_path / "stages.png"
    options = ["--stages", "--config-file", "rsis_synthetic.yaml", "--precision", "bfloat16"]
    files = ["--output", str(out), "--plot", str(plot)]
    assert run(main, [*options, *files, *SETTINGS.options("rsis_synthetic.yaml")]) == 0
    machine_line, left_out, *_ = capsys.readouterr().out.splitlines()
    assert "; no bfloat16; " in machine_line
    assert left_out == "rsis_synthetic: cpu has no bfloat16 here, which is left out."
    assert json.loads(out.read_text()) == []
    assert not plot.exists()
