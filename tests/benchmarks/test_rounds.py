"""Rounds and looks are counted, and times are measured; how long they are is not asserted."""

from __future__ import annotations

import json

from PIL import Image

from benchmarks.rounds import main
from recseg_d2.cli import run
from recseg_d2.data.synthetic.rosettes import draw_rosette


def test_boxes_that_may_share_more_take_fewer_rounds(tmp_path, capsys):
    for seed in range(3):
        Image.fromarray(draw_rosette(seed, 96)[0]).save(tmp_path / f"{seed}.png")
    out = tmp_path / "rounds.json"
    words = ["--weights", "recseg://rosettes", "--input", str(tmp_path), "--output", str(out)]
    words += ["--key", "SHARED_BOX", "--values", "0.0", "0.5"]
    assert run(main, [*words, "MODEL.DEVICE", "cpu"]) == 0
    few, many = sorted(json.loads(out.read_text()), key=lambda row: row["rounds"])
    assert (few["SHARED_BOX"], many["SHARED_BOX"]) == ("0.5", "0.0")
    assert few["images"] == many["images"] == 3
    assert 1 <= few["rounds"] < many["rounds"] <= many["looks"]
    assert 0 < many["objects"] <= many["looks"]
    assert "CPU ms" in capsys.readouterr().out


def test_more_heat_is_asked_for_with_fewer_looks(tmp_path):
    for seed in range(2):
        Image.fromarray(draw_rosette(seed, 96)[0]).save(tmp_path / f"{seed}.png")
    out = tmp_path / "rounds.json"
    words = ["--weights", "recseg://rosettes", "--input", str(tmp_path), "--output", str(out)]
    words += ["--key", "HEAT_THRESH", "--values", "0.0", "0.9", "MODEL.DEVICE", "cpu"]
    assert run(main, [*words, "MODEL.DENSE_ATTENTION.TEST.SCORE_THRESH", "0.0"]) == 0
    more, fewer = json.loads(out.read_text())
    assert more["looks"] > fewer["looks"]


def test_other_models_are_refused(tmp_path, capsys):
    Image.fromarray(draw_rosette(0, 48)[0]).save(tmp_path / "a.png")
    words = ["--weights", "recseg://rosettes_rsis", "--input", str(tmp_path)]
    words += ["--key", "HEAT_THRESH", "--values", "0.2"]
    assert run(main, [*words, "MODEL.DEVICE", "cpu"]) == 2
    assert "expected those of a DenseAttentionSeg" in capsys.readouterr().err
