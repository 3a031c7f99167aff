"""Exponents are those of numbers made by hand; what is measured is not asserted."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from PIL import Image

from benchmarks.device.settings import Settings
from benchmarks.growing import curve, evaluators, models
from benchmarks.growing.curve import Timing, exponent_row, measured_alone, power_law
from benchmarks.growing.models import PROPOSALS, SEQUENTIAL
from benchmarks.growing.scenes import RADIUS, disc_input, disc_labels, side_for
from benchmarks.growth import main
from recseg_d2.cli import run
from recseg_d2.errors import UserError

ONCE = Timing(repeats=1, seconds=0.0)
AMOUNTS = [1, 2, 4, 8, 16]
SMALLEST = [
    *("--steps", "2", "--sides", "128", "--training-sides", "128", "--objects", "4"),
    *("--images", "2", "4", "--processes", "1", "--iterations", "1", "--repeats", "1"),
    *("--seconds", "0"),
]


@pytest.mark.parametrize("exponent", [-1.0, 0.5, 1.0, 2.0])
def test_the_exponent_of_a_power_law(exponent):
    assert power_law(AMOUNTS, [3 * n**exponent for n in AMOUNTS]) == pytest.approx(exponent)


def test_a_cost_beside_that_does_not_grow_is_left_out_with_the_lower_half():
    assert power_law(AMOUNTS, [9, 9, 4, 8, 16]) == pytest.approx(1)


def test_of_other_costs_the_line_of_least_squares():
    # log2 of the costs of 4, 8, 16 is 0, 3, 3: the slope against 2, 3, 4 is 1.5
    assert power_law(AMOUNTS, [1, 1, 1, 8, 8]) == pytest.approx(1.5)


@pytest.mark.parametrize(
    ("amounts", "costs"),
    [([1], [2.0]), ([1, 2], [1.0, None]), ([1, 2, 4], [1.0, 0.0, 2.0])],
    ids=["one", "unknown", "zero"],
)
def test_no_exponent_of_too_little(amounts, costs):
    assert power_law(amounts, costs) is None


def test_the_row_of_a_line():
    points = [
        {"curve": "steps", "what": "RIS", "amount": n, "seconds": n**2, "peak MiB": 5.0}
        for n in (2, 4)
    ]
    row = exponent_row(points)
    assert (row["from"], row["to"], row["s, first"], row["s, last"]) == (2, 4, 4, 16)
    assert row["time's exponent"] == pytest.approx(2)
    assert row["memory's exponent"] == pytest.approx(0)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not tell the memory")
def test_memory_is_that_of_the_call_alone():
    # of this process, which the measuring one is forked from: memory in use, and freed memory
    before, freed = np.ones(2**22), [bytearray(2**16) for _ in range(2000)]
    last = bytearray(2**16)  # behind it, so that it is not given back
    del freed
    cost = measured_alone(partial(partial, np.ones, 2**23), ONCE)
    assert 60 < cost.peak_bytes / 2**20 < 80
    assert cost.seconds > 0
    assert before.all()
    assert len(last) == 2**16


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_a_killed_measurement_is_named():
    with pytest.raises(UserError, match="process was killed"):
        measured_alone(partial(signal.raise_signal, signal.SIGKILL), ONCE)


@pytest.mark.parametrize(
    ("long", "enough", "calls"), [(15.0, 0.0, 4), (0.0, 1.0, 1), (15.0, 1.0, 16)]
)
def test_long_calls_are_not_repeated_and_short_ones_more_often(long, enough, calls, monkeypatch):
    monkeypatch.setattr(curve, "_LONG", long)
    made = []
    curve._measure(lambda: lambda: made.append(1), Timing(3, enough))
    assert len(made) == calls


def test_discs_are_as_many_as_wanted_and_of_one_size():
    labels = disc_labels(side_for(5), 5)
    values, areas = np.unique(labels, return_counts=True)
    assert values.tolist() == [0, 1, 2, 3, 4, 5]
    assert set(areas[1:]) == {areas[1]}
    assert areas[1] == pytest.approx(np.pi * RADIUS**2, rel=0.05)


def test_an_input_shows_its_objects():
    given = disc_input(96, 7)
    masks = given["instances"].gt_masks.tensor
    image = given["image"].float().mean(0)
    assert masks.shape == (7, 96, 96)
    assert image[masks.any(0)].min() > image[~masks.any(0)].max() + 100


def test_a_search_that_finds_other_numbers_is_no_measurement(monkeypatch):
    dark = torch.zeros(3, 96, 96, dtype=torch.uint8)
    monkeypatch.setattr(models, "disc_input", lambda *_: {"image": dark})
    with pytest.raises(UserError, match="found 0 objects in an image of 96x96"):
        models.dense_search(96, ("MODEL.DEVICE", "cpu"), 4)()


def test_evaluations_compare_what_was_found_with_the_truth(tmp_path):
    made = evaluators.made_data(tmp_path, images=10, side=64)
    with evaluators.registered(made.records):
        maps, cityscapes, coco = (
            score(made)
            for score in (
                evaluators._score_label_maps,
                evaluators._score_cityscapes,
                evaluators._score_coco,
            )
        )
    assert 80 < maps["label_map"]["SBD"] < 100  # a pixel aside
    assert maps["label_map"]["DiC"] == 0
    assert 50 < cityscapes["cityscapes"]["AP"] < 100
    assert 50 < coco["segm"]["AP"] < 100
    assert evaluators.DATA not in DatasetCatalog.list()
    assert [len(found) for found in evaluators._keep_rles(made)] == [evaluators.OBJECTS] * 10


@pytest.mark.slow
def test_all_curves_as_a_script(root, tool_env, tmp_path):
    out, plot = tmp_path / "growth.json", tmp_path / "growth.png"
    script = [sys.executable, str(root / "benchmarks" / "growth.py"), *SMALLEST]
    tiny = Settings(torch.device("cpu"), tiny=True)
    small = [o for file in (*SEQUENTIAL.values(), PROPOSALS) for o in tiny.options(file)]
    result = subprocess.run(
        [*script, "--output", str(out), "--plot", str(plot), *small],
        env=tool_env, cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    numbers = json.loads(out.read_text())
    lines = {(row["curve"], row["what"]): row for row in numbers["exponents"]}
    assert len(lines) == 4 + 8 + 4 + 4 + 2
    assert all(row["s, last"] > 0 for row in lines.values())
    assert lines["images", "COCO AP"]["time's exponent"] is not None
    assert lines["size", "Dense inference"]["to"] == 128**2
    assert len(numbers["points"]) == 4 + 8 + 4 + 4 * 2 + 2
    assert "time's exponent" in result.stdout
    assert Image.open(plot).format == "PNG"


def test_wrong_options_are_named(tmp_path, capsys):
    assert run(main, ["--repeats", "0"]) == 2
    assert "--repeats is 0; expected 1 or more" in capsys.readouterr().err
    assert run(main, ["--training-sides", "64"]) == 2
    assert "--training-sides is 64; expected 128 or more" in capsys.readouterr().err
    assert run(main, ["--objects", "5", "5"]) == 2
    assert "--objects is 5 5; expected 1 or more, each above" in capsys.readouterr().err
