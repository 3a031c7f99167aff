from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from PIL import Image

from benchmarks.peers import recseg
from benchmarks.peers.peer import Job, main
from recseg_d2.cli.predict import main as predict_tool
from recseg_d2.config import get_recseg_cfg


def test_iterations_fit_into_the_time_that_short_runs_tell(monkeypatch, tmp_path):
    """Five seconds to start and half a second an iteration: 116 of them in a minute less 3 %."""
    runs = []

    def train(job, iterations, output, more=()):
        runs.append((iterations, output.name, *more))
        return 5 + 0.5 * iterations

    monkeypatch.setattr(recseg, "_train", train)
    record = recseg.train(Job(tmp_path, tmp_path, minutes=1, threads=1, seed=0, config="a.yaml"))
    nothing = ("TEST.THRESHOLD_IMAGES", 0)
    assert runs == [(60, "timing", *nothing), (120, "timing", *nothing), (116, "run")]
    assert record["steps"] == 116
    assert record["cpu_minutes"] == pytest.approx(58 / 60)


def test_what_takes_longer_and_longer_is_trained_again_with_fewer_iterations(monkeypatch, tmp_path):
    runs = []

    def train(job, iterations, output, more=()):
        runs.append(iterations)
        return 5 + 0.0025 * iterations**2  # 0.45 seconds each between the timed runs

    monkeypatch.setattr(recseg, "_train", train)
    record = recseg.train(Job(tmp_path, tmp_path, minutes=10, threads=1, seed=0))
    assert runs[2] == 1293  # 600 seconds less 3 % at 0.45
    assert runs[3] < runs[2]
    assert record["steps"] == runs[-1]
    assert record["cpu_minutes"] <= 10.5


def test_training_is_the_command_that_a_user_types(monkeypatch, tmp_path):
    typed = []
    monkeypatch.setattr(recseg, "_recseg", lambda *words: typed.append(words))
    job = Job(Path("data"), tmp_path, 1, 1, 7, "rsis_small.yaml")
    recseg._train(job, 30, tmp_path / "run", ("TEST.THRESHOLD_IMAGES", 0))
    words = " ".join(typed[0])
    assert words.startswith("train --config-file rsis_small.yaml --train-data data SEED 7")
    assert "SOLVER.MAX_ITER 30" in words
    assert f"OUTPUT_DIR {tmp_path / 'run'} TEST.THRESHOLD_IMAGES 0" in words


def test_without_a_config_the_plan_of_all_images_is_trained(monkeypatch, tmp_path):
    typed = []
    monkeypatch.setattr(recseg, "_recseg", lambda *words: typed.append(words))
    recseg._train(Job(Path("data"), tmp_path, 1, 1, 7), 30, tmp_path / "run")
    assert " ".join(typed[0]).startswith("train --fold none --train-data data SEED 7")
    command = recseg.PEER.commands[0]
    assert command.format(config=recseg.PEER.options("")).startswith("recseg train --fold none --t")
    named = command.format(config=recseg.PEER.options("a.yaml"))
    assert named.startswith("recseg train --config-file a.yaml --train-data train")


@pytest.fixture
def work(tmp_path):
    """The work folder of a tiny model that was never trained, which finds two objects."""
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "ConvLSTMSemInstSeg"
    cfg.MODEL.BACKBONE.NAME = "build_small_encoder_backbone"
    cfg.MODEL.SMALL_ENCODER.WIDTHS = (4, 4, 4)
    cfg.MODEL.RSIS.HIDDEN_WIDTHS = (4, 4, 4)
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (32, 32)
    cfg.MODEL.SEQUENTIAL.STEPS = 2
    cfg.MODEL.SEQUENTIAL.TEST.SCORE_THRESH = 0.0
    cfg.MODEL.DEVICE = "cpu"
    run = tmp_path / "work" / "run"
    run.mkdir(parents=True)
    (run / "config.yaml").write_text(cfg.dump())
    torch.manual_seed(0)
    torch.save({"model": build_model(cfg).state_dict()}, run / "model_final.pth")
    return run.parent


def test_predictions_are_those_of_the_command(monkeypatch, work, tmp_path):
    def in_this_process(*words):
        assert words[0] == "predict"
        assert predict_tool([str(word) for word in words[1:]]) == 0

    monkeypatch.setattr(recseg, "_recseg", in_this_process)
    images, out = tmp_path / "images", tmp_path / "out"
    images.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(images / "one.png")
    words = ["predict", "--work", work, "--images", images, "--output", out]
    main(recseg.train, recseg.predict, [str(word) for word in words])
    scores = json.loads((out / "0" / "scores.json").read_text())
    with Image.open(out / "0" / "one.png") as labels:
        assert labels.size == (30, 40)
        assert 1 <= np.max(labels) <= len(scores["one"]) <= 2
    prediction = json.loads((out / "prediction.json").read_text())
    assert prediction["cpu_ms"] > 0
    assert prediction["parameters"] > 100
