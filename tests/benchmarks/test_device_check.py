"""The script for another device, tried on the CPU; a device's own numbers are not asserted."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from detectron2.modeling import build_model

from benchmarks.batches import random_batch
from benchmarks.device.equality import TOLERANCE, compare_models
from benchmarks.device.settings import FAMILIES, Part, Settings
from benchmarks.device_check import PARTS, main, outcome
from recseg_d2.cli import run
from recseg_d2.layers import compiled

QUICK = ["equal", "waits", "speed", "graphs", "schedule"]
CPU = torch.device("cpu")


def report(tmp_path, *options: str) -> dict:
    out = tmp_path / "check.json"
    assert run(main, ["--output", str(out), "--device", "cpu", "--tiny", *options]) == 0
    return json.loads(out.read_text())["parts"]


def test_all_checks_but_long_ones_pass_on_the_cpu(tmp_path):
    parts = report(tmp_path, "--parts", *QUICK)
    assert list(parts) == QUICK
    rows = {(part, row["check"]): row for part in parts for row in parts[part]}
    for family in FAMILIES:
        assert rows["equal", family]["gradients"] == 0
        assert rows["speed", f"{family} training"]["float32_images_a_second"] > 0
    for family in ("rsis_synthetic.yaml", "ris_synthetic.yaml"):
        assert rows["waits", f"{family} training"]["waits_a_step"] == 0
        assert rows["waits", f"{family} inference"]["waits_a_step"] == 1
        assert rows["graphs", family]["left_out"] == "CUDA graphs need CUDA"
    schedule = rows["schedule", "float32"]
    expected = (60_000 * schedule["box_seconds"] + 30_000 * schedule["full_seconds"]) / 3600
    assert schedule["hours"] == pytest.approx(expected)


@pytest.mark.slow
def test_a_training_runs_to_its_end(tmp_path):
    ((row,),) = report(tmp_path, "--parts", "training").values()
    assert row["iterations"] == 2
    assert row["last_loss"] > 0


@pytest.mark.slow
def test_compiled_steps_are_measured(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    (rows,) = report(tmp_path, "--parts", "compiled").values()
    assert all(row["compiled_images_a_second"] > 0 for row in rows)
    torch._dynamo.reset()


@pytest.mark.parametrize("family", FAMILIES)
def test_a_model_that_computes_something_else_is_seen(family):
    cfg = Settings(CPU, tiny=True).config(family)
    torch.manual_seed(0)
    expected = build_model(cfg)
    found = copy.deepcopy(expected)
    with torch.no_grad():
        for weight in found.parameters():
            weight.mul_(1.01)
    differences = compare_models(found, expected, random_batch(cfg, 2))
    assert max(differences.values()) > TOLERANCE


def test_one_failed_check_is_a_row_and_the_others_go_on(tmp_path, monkeypatch, capsys):
    def fail(seconds):
        raise RuntimeError("no such kernel")

    checks = {"first": fail, "second": lambda seconds: {"number": 3}}
    monkeypatch.setitem(PARTS, "equal", Part(1, lambda settings: checks))
    out = tmp_path / "check.json"
    options = ["--output", str(out), "--device", "cpu", "--parts", "equal"]
    assert run(main, options) == 1
    first, second = json.loads(out.read_text())["parts"]["equal"]
    assert first["failed"] == "RuntimeError: no such kernel"
    assert "in fail" in first["traceback"]
    assert second["number"] == 3
    assert "1 checks failed: first" in capsys.readouterr().out


def test_a_check_after_its_parts_time_is_left_out():
    clock = iter([5.0, 4.0, 4.5]).__next__
    assert outcome(lambda seconds: {}, 5.0, clock) == {"left_out": "no time was left"}
    assert outcome(lambda seconds: {"left": seconds}, 5.0, clock) == {"seconds": 0.5, "left": 1.0}


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is CUDA")
def test_without_cuda_a_sentence_says_so(tmp_path, capsys):
    out = tmp_path / "check.json"
    assert run(main, ["--output", str(out)]) == 2
    assert "--device is cuda, which this machine does not have" in capsys.readouterr().err
    assert not out.exists()
