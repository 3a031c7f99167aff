"""The tools with an InstanceFCNProposal: predict, visualize, and the trainer's pictures."""

from __future__ import annotations

import csv
import json
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from PIL import Image

from recseg_d2.cli import predict, run, visualize
from recseg_d2.config import load_config
from recseg_d2.engine.pictures import SamplePictures

TINY = [
    *("MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", "8", "MODEL.INSTANCE_FCN.HEAD.PARTS", "3"),
    *("MODEL.INSTANCE_FCN.TEST.SCALES", "(24, 40)", "MODEL.INSTANCE_FCN.TEST.TOPK", "40"),
    *("MODEL.DEVICE", "cpu"),
]


@pytest.fixture
def proposal_run(tmp_path):
    """The output folder of a tiny InstanceFCNProposal that was never trained."""
    cfg = load_config("instancefcn_synthetic.yaml", [*TINY, "OUTPUT_DIR", str(tmp_path / "run")])
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(cfg.dump())
    torch.manual_seed(0)
    torch.save({"model": build_model(cfg).state_dict()}, folder / "model_final.pth")
    return folder


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "noise.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (33, 46, 3), np.uint8)).save(path)
    return path


def predicted(proposal_run, picture, out, threshold: str) -> list[dict]:
    arguments = ["--weights", str(proposal_run), "--input", str(picture), "--output", str(out)]
    assert run(predict.main, [*arguments, "--sequences", "--score-thresh", threshold]) == 0
    return json.loads((out / "predictions.json").read_text())


def test_predict_takes_instances_above_the_score(proposal_run, picture, tmp_path):
    everything = predicted(proposal_run, picture, tmp_path / "all", "0")
    assert 1 < len(everything) <= 40
    assert all("step" not in entry for entry in everything)  # a rank is no order of discovery
    scores = [entry["score"] for entry in everything]
    assert scores == sorted(scores, reverse=True)
    assert everything[0]["segmentation"]["size"] == [33, 46]
    between = str((scores[0] + scores[1]) / 2)
    assert len(predicted(proposal_run, picture, tmp_path / "best", between)) == 1
    with open(tmp_path / "all" / "counts.csv", newline="") as file:
        assert list(csv.reader(file))[1] == ["noise.png", str(len(everything))]


def test_visualize_draws_the_maps(proposal_run, picture, tmp_path):
    out = tmp_path / "out"
    arguments = ["--weights", str(proposal_run), "--input", str(picture), "--output", str(out)]
    assert run(visualize.main, [*arguments, "--side", "40"]) == 0
    names = ["montage.png", "proposals_noise.png", "sequence_noise.png"]
    assert sorted(path.name for path in out.iterdir()) == names


def test_the_trainer_draws_them_too(proposal_run):
    cfg = load_config(proposal_run / "config.yaml", ["TEST.NUM_PICTURES", "1"])
    files = SamplePictures(cfg, build_model(cfg), nullcontext).draw()
    assert [path.name.split("_")[0] for path in files] == ["montage.png", "sequence", "proposals"]
    assert all(path.parent == proposal_run / "pictures" for path in files)
