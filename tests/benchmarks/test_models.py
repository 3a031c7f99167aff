"""The models at a tiny size; what is measured is not asserted, that it is measured is."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
import torch
from warm_python import run_python

from benchmarks import models
from benchmarks.models import LITERAL, Subject, build_step, interleaved_seconds, random_batch
from benchmarks.run import benchmark_config, main
from recseg_d2.cli import run
from recseg_d2.errors import UserError

TINY = [
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", "(32, 32)", "MODEL.SEQUENTIAL.STEPS", "3"),
    *("MODEL.SMALL_ENCODER.WIDTHS", "(4, 6)", "MODEL.RSIS.HIDDEN_WIDTHS", "(6, 4)"),
    *("MODEL.DEVICE", "cpu"),
]
TINY_ATTENTION = [
    *("MODEL.RIS.BOX.WIDTHS", "(4, 4)", "MODEL.RIS.BOX.POOLS", "(2, 2)"),
    *("MODEL.RIS.BOX.HIDDEN_WIDTH", "6", "MODEL.RIS.PATCH.SIZE", "(8, 8)"),
    *("MODEL.RIS.PREPROCESSOR.WIDTHS", "((4, 4), (4, 6))"),
    *("MODEL.RIS.PREPROCESSOR.SKIPS", "(1, 1)"),
]
CONFIG = "rsis_synthetic.yaml"


def run_tool(*options: str) -> int:
    quick = ["--batch-size", "2", "--repeats", "1", "--threads", "1"]
    return run(main, ["--config-file", CONFIG, *quick, *options, *TINY])


def test_a_row_for_each_version_and_mode(tmp_path, capsys):
    out = tmp_path / "numbers.json"
    assert run_tool("--no-memory", "--output", str(out)) == 0
    rows = json.loads(out.read_text())
    assert [(r["mode"], r["version"]) for r in rows] == [
        ("inference", "this package"),
        ("inference", "paper-literal"),
        ("training", "this package"),
        ("training", "paper-literal"),
    ]
    assert all(r["images/s"] > 0 and r["times literal"] > 0 for r in rows)
    assert rows[1]["times literal"] == 1.0
    assert "rsis_synthetic" in capsys.readouterr().out


@pytest.mark.slow
def test_memory_is_measured_in_a_process_of_its_own(tmp_path, monkeypatch):
    monkeypatch.delitem(LITERAL, "ConvLSTMSemInstSeg")
    out = tmp_path / "numbers.json"
    assert run_tool("--mode", "inference", "--output", str(out)) == 0
    weights = 0.01  # MiB, about, of the tiny model: activations and the libraries' buffers add up
    assert all(row["peak MiB"] > 10 * weights for row in json.loads(out.read_text()))


@pytest.mark.slow
def test_memory_with_and_without_steps_that_are_computed_anew(tmp_path):
    out = tmp_path / "numbers.json"
    larger = ["MODEL.SEQUENTIAL.STEPS", "24", "MODEL.SEQUENTIAL.IMAGE_SIZE", "(128, 128)"]
    options = ["--config-file", CONFIG, "--recompute", "--batch-size", "1", "--threads", "1"]
    assert run(main, [*options, "--output", str(out), *TINY, *larger]) == 0
    kept, again = json.loads(out.read_text())
    assert (kept["recomputed"], again["recomputed"]) == (False, True)
    assert (kept["steps"], kept["pixels"]) == (24, "128x128")
    assert again["peak MiB"] < kept["peak MiB"]


def test_without_literal_version_the_package_is_measured_alone(tmp_path, monkeypatch, capsys):
    monkeypatch.delitem(LITERAL, "ConvLSTMSemInstSeg")
    out = tmp_path / "numbers.json"
    assert run_tool("--no-memory", "--mode", "inference", "--output", str(out)) == 0
    (row,) = json.loads(out.read_text())
    assert row["version"] == "this package"
    assert row["times literal"] is None
    assert "ConvLSTMSemInstSeg has no paper-literal version" in capsys.readouterr().out


@pytest.mark.parametrize("config", [CONFIG, "ris_synthetic.yaml"])
def test_the_literal_version_computes_the_same(config):
    cfg = benchmark_config(config, [*TINY, *TINY_ATTENTION])
    losses = []
    for literal in (False, True):
        model, _ = build_step(Subject(cfg, "training", 2, literal, 1))
        losses.append(model(random_batch(cfg, 2)))
    assert losses[0].keys() == losses[1].keys()
    for name, value in losses[0].items():
        torch.testing.assert_close(value, losses[1][name], rtol=1e-4, atol=1e-5)


def test_a_batch_fills_all_steps_and_inference_never_stops_early():
    cfg = benchmark_config(CONFIG, TINY)
    assert cfg.MODEL.SEQUENTIAL.TEST.SCORE_THRESH == 0.0
    batch = random_batch(cfg, 2)
    assert [len(x["instances"]) for x in batch] == [2, 2]
    assert (batch[0]["instances"].gt_masks.tensor.flatten(1).sum(1) > 0).all()


def test_steps_take_turns_and_the_median_counts(monkeypatch):
    order = []
    warm_ups, timed = [0, 0], [0, 1, 0, 4, 0, 2, 0, 5, 0, 8, 0, 6]
    clock = iter(warm_ups + timed)
    monkeypatch.setattr(models, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    steps = {name: (lambda name=name: order.append(name)) for name in "ab"}
    found = interleaved_seconds(steps, 3, torch.device("cpu"))
    assert order == ["a", "b"] * 4
    assert found == {"a": 2, "b": 5}


def test_wrong_options_are_named(capsys):
    assert run_tool("--batch-size", "0") == 2
    assert "--batch-size is 0" in capsys.readouterr().err
    cfg = benchmark_config(CONFIG, TINY)
    with pytest.raises(UserError, match="mode is 'sleep'"):
        build_step(Subject(cfg, "sleep", 1, False, 1))


def test_it_runs_as_a_script_from_anywhere(root, tool_env, tmp_path):
    script = root / "benchmarks" / "run.py"
    options = ["--config-file", CONFIG, "--mode", "inference", "--batch-size", "1"]
    quick = ["--repeats", "1", "--threads", "1", "--no-memory", *TINY]
    result = run_python([script, *options, *quick], tool_env, tmp_path)
    assert result.returncode == 0, result.stderr
    assert "paper-literal" in result.stdout
