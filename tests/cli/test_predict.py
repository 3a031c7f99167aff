"""``recseg predict``: its files, and what it refuses."""

from __future__ import annotations

import errno
import json
import resource
import signal
import subprocess
import sys

import numpy as np
import pytest
import tifffile
import torch
from cli.predicting import counts, predict
from PIL import Image
from pycocotools import mask as mask_util
from warm_python import run_torchrun

from recseg_d2.cli import run
from recseg_d2.cli.predict import main
from recseg_d2.data.coco_results import load_results
from recseg_d2.engine.outputs import PredictionWriter


@pytest.mark.parametrize("batch_size", ["1", "2", "5"])
def test_a_folder_end_to_end(trained, images, tmp_path, batch_size):
    out = tmp_path / "out"
    more = ["--sequences", "--batch-size", batch_size]
    assert predict(trained, images, output=out, more=more) == 0

    assert counts(out) == [
        ["file", "count"],
        ["none.png", "0"],
        ["three.png", "3"],
        ["two.png", "2"],
    ]
    labels = np.asarray(Image.open(out / "labels/two.png"))
    expected = np.zeros((6, 8), dtype=np.uint8)
    expected[1:3, 2:6], expected[4:6] = 1, 2
    assert labels.dtype == np.uint8
    assert (labels == expected).all()
    assert not np.asarray(Image.open(out / "labels/none.png")).any()

    results = json.loads((out / "predictions.json").read_text())
    assert [r["image_id"] for r in results] == ["three"] * 3 + ["two"] * 2
    last = results[-1]
    assert last["bbox"] == [0.0, 4.0, 8.0, 2.0]
    assert last["category_id"] == 0
    assert last["score"] == pytest.approx(0.7)
    assert (mask_util.decode(last["segmentation"]) == (expected == 2)).all()
    listed = load_results(out / "predictions.json")
    assert listed.images["none"] == {"id": "none", "file_name": "none.png", "height": 6, "width": 8}
    assert [c["name"] for c in listed.categories] == ["class 0"]
    for kind in ("overlays", "sequences"):
        assert sorted(p.name for p in (out / kind).iterdir()) == [
            "none.png",
            "three.png",
            "two.png",
        ]


def test_score_thresh_no_overlays_and_opts(trained, images, tmp_path):
    out = tmp_path / "out"
    path = images / "three.png"
    assert predict(trained, path, output=out, more=["--no-overlays", "--score-thresh", "0.75"]) == 0
    assert counts(out)[1:] == [["three.png", "2"]]
    files = ["counts.csv", "labels", "predicted.jsonl", "predictions.json"]
    files += ["predictions_images.json"]
    assert sorted(p.name for p in out.iterdir()) == files
    more = ["MODEL.SEQUENTIAL.TEST.SCORE_THRESH", "0.85"]
    assert predict(trained, path, output=out, more=more) == 0
    assert counts(out)[1:] == [["three.png", "1"]]


def test_config_keys_may_stand_between_options_that_take_several_values(trained, images, tmp_path):
    out, images = tmp_path / "out", [str(p) for p in sorted(images.glob("*.png"))]
    more = ["MODEL.SEQUENTIAL.TEST.SCORE_THRESH", "0.85", "--no-overlays"]
    arguments = ["--weights", str(trained), "--output", str(out), "--input", *images, *more]
    assert run(main, arguments) == 0
    assert counts(out)[1:] == [["none.png", "0"], ["three.png", "1"], ["two.png", "1"]]


def test_files_that_are_called_like_config_keys_are_files(trained, images, tmp_path, monkeypatch):
    monkeypatch.chdir(images)
    (images / "two.png").rename("TEST.PNG")
    assert predict(trained, "TEST.PNG", "three.png", output=tmp_path / "out") == 0
    assert [name for name, _ in counts(tmp_path / "out")[1:]] == ["TEST.PNG", "three.png"]


def test_other_files_in_the_output_stay(trained, images, tmp_path):
    out = tmp_path / "out"
    assert predict(trained, images / "two.png", output=out) == 0
    assert predict(trained, images / "three.png", output=out) == 0
    assert sorted(p.name for p in (out / "labels").iterdir()) == ["three.png", "two.png"]


def test_an_unreadable_image_is_named_and_the_others_are_done(trained, images, tmp_path, capsys):
    (images / "broken.png").write_bytes(b"no image")
    out = tmp_path / "out"
    assert predict(trained, images, output=out, more=["--batch-size", "2"]) == 1
    errors = capsys.readouterr().err
    assert "skipped: " in errors
    assert f"1 of 4 images could not be read: {images / 'broken.png'}" in errors
    assert len(counts(out)) == 4


def test_strict_stops_at_an_image_that_cannot_be_read(trained, images, tmp_path, capsys):
    (images / "broken.png").write_bytes(b"no image")
    assert predict(trained, images, output=tmp_path / "out", more=["--strict"]) == 2
    assert "broken.png" in capsys.readouterr().err


def contents(out):
    """Of all files, but for the processes' notes."""
    files = (path for path in out.rglob("*") if path.is_file() and path.suffix != ".jsonl")
    return {str(path.relative_to(out)): path.read_bytes() for path in files}


def test_a_prediction_that_broke_off_is_gone_on_with(trained, images, tmp_path, monkeypatch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert predict(trained, images, output=whole) == 0
    predicted = []
    add = PredictionWriter.add

    def breaks(self, image):
        if image.path.stem == "three":
            raise KeyboardInterrupt
        add(self, image)

    def counted(self, image):
        predicted.append(image.path.stem)
        add(self, image)

    with monkeypatch.context() as patch:
        patch.setattr(PredictionWriter, "add", breaks)
        assert predict(trained, images, output=broken) == 128 + signal.SIGINT
    with open(broken / "predicted.jsonl", "a") as file:
        file.write('{"image": "three", "colle')  # killed in the midst of a line
    monkeypatch.setattr(PredictionWriter, "add", counted)
    assert predict(trained, images, output=broken, more=["--resume"]) == 0
    assert predicted == ["three", "two"]
    assert contents(broken) == contents(whole)
    assert predict(trained, images, output=broken, more=["--resume"]) == 0
    assert predicted == ["three", "two"]
    assert contents(broken) == contents(whole)


def test_without_resume_everything_is_predicted_anew(trained, images, tmp_path):
    out = tmp_path / "out"
    assert predict(trained, images, output=out) == 0
    assert predict(trained, images / "two.png", output=out) == 0
    assert counts(out) == [["file", "count"], ["two.png", "2"]]


@pytest.mark.parametrize("place", ["weights", "outputs"])
def test_numbers_that_are_not_finite_are_an_error_and_not_no_objects(
    tiny_run, images, tmp_path, capsys, place
):
    state = torch.load(tiny_run / "model_final.pth", weights_only=True)
    weight = state["model"]["decoder.mask_head.weight"]
    weight.fill_(float("nan") if place == "weights" else 3e38)
    torch.save(state, tiny_run / "model_final.pth")
    assert predict(tiny_run, images, output=tmp_path / "out") == 2
    error = capsys.readouterr().err
    expected = {"weights": "such as decoder.mask_head.weight", "outputs": "not finite; the weights"}
    assert expected[place] in error


@pytest.mark.slow
def test_processes_share_the_images_and_make_one_result(tiny_run, images, tmp_path, tool_env):
    one, two = tmp_path / "one", tmp_path / "two"
    arguments = ["--weights", str(tiny_run), "--input", str(images), "--score-thresh", "0"]
    assert run(main, [*arguments, "--output", str(one)]) == 0
    words = ["-m", "recseg_d2.cli", "predict", *arguments, "--output", two]
    done = run_torchrun(2, words, tool_env)
    assert done.returncode == 0, done.stderr[-2000:]
    assert sorted(path.name for path in two.glob("*.jsonl")) == [
        "predicted.jsonl",
        "predicted_1.jsonl",
    ]
    assert contents(one) == contents(two)


def test_equal_stems_are_refused_by_name(trained, images, tmp_path, capsys):
    (images / "two.jpg").write_bytes((images / "two.png").read_bytes())
    assert predict(trained, images, output=tmp_path / "out") == 2
    error = capsys.readouterr().err
    assert "two.jpg and " in error
    assert "two.png would both be stored as 'two'" in error
    assert not (tmp_path / "out").exists()


def test_the_same_file_twice_is_refused(trained, images, tmp_path, capsys):
    path = images / "two.png"
    assert predict(trained, path, images, output=tmp_path / "out") == 2
    assert "rename one" in capsys.readouterr().err


def test_missing_input_and_empty_folder_are_refused(trained, tmp_path, capsys):
    assert predict(trained, tmp_path / "gone", output=tmp_path / "out") == 2
    assert "there is no file or folder" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert predict(trained, tmp_path / "empty", output=tmp_path / "out") == 2
    assert "no image in" in capsys.readouterr().err


def test_an_output_that_is_a_file_is_refused(trained, images, tmp_path, capsys):
    (tmp_path / "out").write_text("in the way")
    assert predict(trained, images, output=tmp_path / "out") == 2
    assert "Cannot make the folder" in capsys.readouterr().err


def test_config_file_and_weights_by_name(trained, images, tmp_path):
    weights = (trained / "model_final.pth").rename(tmp_path / "other.pth")
    more = ["--config-file", str(trained / "config.yaml")]
    assert predict(weights, images, output=tmp_path / "out", more=more) == 0
    assert len(counts(tmp_path / "out")) == 4


def test_incomplete_runs_and_wrong_options_are_refused(trained, images, tmp_path, capsys):
    def error_of(weights, *more: str) -> str:
        assert predict(weights, images, output=tmp_path / "out", more=more) == 2
        return capsys.readouterr().err

    weights = (trained / "model_final.pth").rename(trained / "model_0000099.pth")
    assert "name one of the checkpoints in it (model_0000099.pth)" in error_of(trained)
    assert "there is no file" in error_of(trained / "gone.pth")
    assert "No config 'gone.yaml'" in error_of(weights, "--config-file", "gone.yaml")
    assert "expected 0 to 1" in error_of(weights, "--score-thresh", "1.5")
    assert "Batch size is 0" in error_of(weights, "--batch-size", "0")
    assert "MODEL.GONE" in error_of(weights, "MODEL.GONE", "1")
    (trained / "config.yaml").unlink()
    assert "by --config-file" in error_of(weights)


@pytest.mark.slow
def test_as_a_user_runs_it(images, tmp_path, tool_env, tiny_run):
    out = tmp_path / "out"
    arguments = ["--weights", tiny_run, "--input", images, "--output", out, "--sequences"]
    done = subprocess.run(
        [sys.executable, "-m", "recseg_d2.cli", "predict", *arguments, "--score-thresh", "0"],
        env=tool_env, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert f"3 images, {sum(int(n) for _, n in counts(out)[1:])} objects: {out}" in done.stdout
    assert "3/3" in done.stderr  # the progress bar
    assert Image.open(out / "labels/two.png").size == (8, 6)
    assert len(list((out / "sequences").iterdir())) == 3
    found = load_results(out / "predictions.json").entries
    for entries in found.values():  # by a sequential model, in the order of discovery
        steps = [entry["step"] for entry in entries]
        assert steps == sorted(set(steps))


def test_l05_hidden_files_of_a_folder_are_passed_over(trained, images, tmp_path):
    (images / "._two.png").write_bytes(b"\0\5\26\7")
    assert predict(trained, images, output=tmp_path / "out", more=["--no-overlays"]) == 0


@pytest.mark.parametrize(
    ("pages", "more", "code"),
    [(3, [], 1), (3, ["INPUT.FRAMES.PAGE", "1"], 0), (1, [], 0)],
)
def test_l13_pages_are_chosen_by_key(trained, tmp_path, pages, more, code):
    stack = np.zeros((pages, 6, 8, 3), np.uint8)
    stack[pages // 2, 2:4, 2:4, 1] = 200
    tifffile.imwrite(tmp_path / "a.tif", stack, photometric="rgb")
    out = tmp_path / "out"
    assert predict(trained, tmp_path / "a.tif", output=out, more=more) == code
    if code == 0:
        assert counts(out)[1] == ["a.tif", "1"]


def test_a_disk_without_room_is_one_sentence_and_the_files_before_it_stay(
    trained, images, tmp_path, capsys
):
    out, large = tmp_path / "out", tmp_path / "large"
    large.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(large / "two.png")
    assert predict(trained, images, output=out) == 0
    before = {path: path.read_bytes() for path in out.rglob("*.png")}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    capsys.readouterr()
    try:  # no file may be as large as the overlay becomes
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limits[1]))
        assert predict(trained, large / "two.png", output=out) == 2
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    (line,) = capsys.readouterr().err.splitlines()[-1:]
    assert line.startswith(f"error: Cannot write {out / 'overlays' / 'two.png'} (")
    assert (out / "overlays" / "two.png").read_bytes() == before[out / "overlays" / "two.png"]
    assert {path.name for path in out.rglob("*.png")} == {path.name for path in before}
    assert not list(out.rglob(".*.part"))


def test_a_disk_that_is_full_where_a_line_is_added_is_one_sentence(capsys):
    def fails(number):
        def add_line(argv):
            raise OSError(number, "words", "predicted.jsonl")

        return add_line

    assert run(fails(errno.ENOSPC), []) == 2
    assert capsys.readouterr().err.startswith("error: Cannot write predicted.jsonl (words); make")
    with pytest.raises(OSError, match="words"):
        run(fails(errno.ECHILD), [])
