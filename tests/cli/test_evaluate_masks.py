from __future__ import annotations

import json
import logging
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from recseg_d2.cli import run
from recseg_d2.cli.evaluate_masks import build_parser, main
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.metrics import METRICS

TRUTH = np.array([[1, 1, 2, 2, 0, 0], [1, 1, 2, 2, 0, 0]])
MERGED = np.minimum(TRUTH, 1)


@pytest.fixture
def folders(tmp_path) -> tuple[Path, Path]:
    """Folders of predictions and ground truth: "a" found exactly, "b" with its objects merged."""
    for folder, maps in (("pred", {"a": TRUTH, "b": MERGED}), ("gt", {"a": TRUTH, "b": TRUTH})):
        (tmp_path / folder).mkdir()
        for stem, labels in maps.items():
            write_label_map(tmp_path / folder / f"{stem}.png", labels)
    return tmp_path / "pred", tmp_path / "gt"


def evaluate(pred: Path, gt: Path, *more: str) -> dict:
    out = gt.parent / "scores.json"
    assert main(["--pred", str(pred), "--gt", str(gt), "--json", str(out), *more]) == 0
    return json.loads(out.read_text())


def refusal(capsys, *arguments: str) -> str:
    assert run(main, arguments) == 2
    return capsys.readouterr().err


def test_scores_by_hand(folders, capsys):
    saved = evaluate(*folders)
    assert saved["images"] == {
        "a": {"SBD": 100.0, "DiC": 0, "absDiC": 0, "FGBGDice": 100.0},
        "b": {"SBD": pytest.approx(200 / 3), "DiC": -1, "absDiC": 1, "FGBGDice": 100.0},
    }
    assert saved["mean"]["SBD"] == pytest.approx(250 / 3)
    assert saved["std"]["SBD"] == pytest.approx(100 / 3 / math.sqrt(2))
    printed = capsys.readouterr().out
    assert "2 images" in printed
    assert "83.33" in printed


def test_only_the_metrics_asked_for(folders):
    saved = evaluate(*folders, "--metrics", "dic")
    assert list(saved["mean"]) == list(saved["std"]) == ["DiC", "absDiC"]
    assert saved["images"]["b"] == {"DiC": -1, "absDiC": 1}


def test_every_class_agnostic_metric_by_name(folders):
    names = ["sbd", "dic", "fgbg", "mwcov", "mucov", "avgfp", "avgfn", "countacc"]
    saved = evaluate(*folders, "--metrics", *names)
    keys = ["SBD", "DiC", "absDiC", "FGBGDice", "MWCov", "MUCov", "AvgFP", "AvgFN", "CountAcc"]
    assert list(saved["mean"]) == list(saved["std"]) == list(saved["images"]["a"]) == keys
    more = {"MWCov": 50.0, "MUCov": 50.0, "AvgFP": 0, "AvgFN": 0, "CountAcc": 0.0}
    assert {k: saved["images"]["b"][k] for k in more} == more
    assert (saved["mean"]["MWCov"], saved["mean"]["CountAcc"]) == (75.0, 50.0)


def test_metrics_of_a_whole_data_set_are_pooled(folders, capsys):
    saved = evaluate(*folders, "--metrics", "sbd", "pq")
    assert list(saved["mean"]) == ["SBD"]
    assert list(saved["pooled"]) == list(saved["images"]["a"])[1:] == ["PQ", "SQ", "RQ"]
    assert saved["pooled"]["PQ"] == pytest.approx(
        saved["pooled"]["SQ"] * saved["pooled"]["RQ"] / 100
    )
    assert "PQ (pooled)" in capsys.readouterr().out


def test_every_metric_is_in_the_help():
    text = build_parser().format_help()
    for group in METRICS.values():
        assert all(f" {one.key} ({one.meaning}" in text for one in group)


def test_missing_prediction_is_all_background(folders, caplog):
    pred, gt = folders
    (pred / "b.png").unlink()
    with caplog.at_level(logging.WARNING):
        saved = evaluate(pred, gt)
    assert saved["images"]["b"] == {"SBD": 0.0, "DiC": -2, "absDiC": 2, "FGBGDice": 0.0}
    assert "b.png: no prediction" in caplog.text


def test_wrong_size_is_resized_by_nearest_neighbour(folders, caplog):
    pred, gt = folders
    write_label_map(pred / "a.png", TRUTH.repeat(2, axis=0).repeat(2, axis=1))
    with caplog.at_level(logging.WARNING):
        saved = evaluate(pred, gt)
    assert saved["images"]["a"]["SBD"] == 100.0
    assert "a.png: found size (4, 12), expected (2, 6)" in caplog.text


@pytest.mark.parametrize("names", [("x", "x_label"), ("x_label", "x"), ("x_label", "x_label")])
def test_the_ending_label_is_optional(tmp_path, names):
    for folder, name in zip(("pred", "gt"), names, strict=True):
        (tmp_path / folder).mkdir()
        write_label_map(tmp_path / folder / f"{name}.png", TRUTH)
    saved = evaluate(tmp_path / "pred", tmp_path / "gt")
    assert saved["images"].keys() == {names[1]}
    assert saved["mean"]["SBD"] == 100.0


def test_a_cvppp_folder_is_ground_truth_as_it_is(tmp_path):
    pred, gt = tmp_path / "pred", tmp_path / "gt"
    pred.mkdir()
    gt.mkdir()
    write_label_map(gt / "plant001_label.png", TRUTH)
    write_label_map(gt / "plant001_fg.png", MERGED)
    Image.new("RGB", (6, 2), "green").save(gt / "plant001_rgb.png")
    write_label_map(pred / "plant001.tif", TRUTH)
    saved = evaluate(pred, gt)
    assert saved["images"].keys() == {"plant001_label"}
    assert saved["mean"]["SBD"] == 100.0


def test_extra_prediction_is_refused_unless_allowed(folders, capsys):
    pred, gt = folders
    write_label_map(pred / "c.png", TRUTH)
    message = refusal(capsys, "--pred", str(pred), "--gt", str(gt))
    assert "c.png" in message
    assert "--allow-extra" in message
    assert evaluate(pred, gt, "--allow-extra")["images"].keys() == {"a", "b"}


def test_two_files_for_one_image_are_refused(folders, capsys):
    pred, gt = folders
    write_label_map(pred / "a.tif", TRUTH)
    message = refusal(capsys, "--pred", str(pred), "--gt", str(gt))
    assert "a.tif and a.png have the same stem; keep one of them" in message


def test_unknown_metric_missing_and_empty_folder_are_refused(folders, capsys, tmp_path):
    pred, gt = map(str, folders)
    (tmp_path / "empty").mkdir()
    assert "nowhere: no such folder" in refusal(capsys, "--pred", "nowhere", "--gt", gt)
    assert "ap" in refusal(capsys, "--pred", pred, "--gt", gt, "--metrics", "ap")
    assert "no label map" in refusal(capsys, "--pred", pred, "--gt", str(tmp_path / "empty"))


def test_unreadable_file_is_named(folders, capsys):
    pred, gt = folders
    (pred / "a.png").write_bytes(b"no image")
    assert str(pred / "a.png") in refusal(capsys, "--pred", str(pred), "--gt", str(gt))


def test_image_without_object_has_null(folders, capsys):
    pred, gt = folders
    for folder in folders:
        write_label_map(folder / "a.png", np.zeros_like(TRUTH))
    saved = evaluate(pred, gt)
    assert saved["images"]["a"] == {"SBD": 0.0, "DiC": 0, "absDiC": 0, "FGBGDice": None}
    assert saved["mean"]["FGBGDice"] == 100.0
    assert saved["std"]["FGBGDice"] is None


@pytest.mark.slow
def test_as_a_user_runs_it(folders, tool_env):
    pred, gt = map(str, folders)
    command = [sys.executable, "-m", "recseg_d2.cli", "evaluate", "--pred", pred]
    done = subprocess.run([*command, "--gt", gt], env=tool_env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "SBD" in done.stdout


def test_a_json_file_that_cannot_be_written_is_refused_before_scoring(folders, capsys, tmp_path):
    (tmp_path / "file").write_text("")
    arguments = ("--pred", str(folders[0]), "--gt", str(folders[1]), "--json")
    assert "Cannot make the folder" in refusal(capsys, *arguments, str(tmp_path / "file" / "x"))
    assert "it is a folder" in refusal(capsys, *arguments, str(tmp_path))


def test_pixels_of_an_ignored_value_are_not_scored(tmp_path):
    """Predictions that differ there alone have the same scores, those of the other pixels."""
    truth = np.array([[1, 1, 2, 255, 255, 0], [1, 1, 2, 255, 255, 0]])
    (tmp_path / "gt").mkdir()
    write_label_map(tmp_path / "gt" / "a.png", truth)
    scores = []
    for number, there in enumerate((0, 2, 3)):
        folder = tmp_path / f"pred{number}"
        folder.mkdir()
        write_label_map(folder / "a.png", np.where(truth == 255, there, truth))
        saved = evaluate(folder, tmp_path / "gt", "--ignore-value", "255", "--metrics", *METRICS)
        scores.append(saved["images"])
    assert scores[0] == scores[1] == scores[2]
    assert (scores[0]["a"]["SBD"], scores[0]["a"]["DiC"]) == (100, 0)
    assert evaluate(tmp_path / "pred1", tmp_path / "gt")["images"]["a"]["SBD"] < 100
