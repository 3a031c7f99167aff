"""``recseg train`` without a config: the data decides."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml
from PIL import Image

from recseg_d2.cli import predict, train
from recseg_d2.errors import UserError

TINY = [
    *("MODEL.RESIDUAL_ENCODER.WIDTHS", "(4,4,4)", "INPUT.SIMILARITY_CROP.SIZE", "32"),
    *("SOLVER.IMS_PER_BATCH", "2", "MODEL.DEVICE", "cpu", "TEST.NUM_PICTURES", "1"),
    *("MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", "3", "SOLVER.WARMUP_ITERS", "0"),
]


@pytest.fixture
def folder(tmp_path):
    """Six images of dim squares."""
    rng = np.random.default_rng(0)
    for part in ("images", "labels"):
        (tmp_path / "mine" / part).mkdir(parents=True)
    for n in range(6):
        labels = np.zeros((40, 48), np.uint8)
        labels[4:20, 5 + n : 21 + n], labels[24:36, 20:40] = 1, 2
        image = (50 + 60 * (labels > 0) + rng.integers(0, 20, labels.shape)).astype(np.uint8)
        Image.fromarray(image).save(tmp_path / "mine" / "images" / f"{n}.tif")
        Image.fromarray(labels).save(tmp_path / "mine" / "labels" / f"{n}.png")
    return tmp_path / "mine"


def run(folder, output, *more):
    return train.main(["--train-data", str(folder), *more, "OUTPUT_DIR", str(output), *TINY])


def test_from_images_to_label_maps_without_a_config(folder, tmp_path):
    output = tmp_path / "out"
    assert run(folder, output, "SOLVER.MAX_ITER", "2") == 0
    plan = (output / "plan.txt").read_text()
    assert plan.startswith("4 images (4 looked at) of 48x40 pixels, uint8; 2 objects an image")
    assert "INPUT.SCALE 1.0: objects of 16 pixels are seen as they are" in plan
    config = yaml.safe_load((output / "config.yaml").read_text())
    assert config["SOLVER"]["MAX_ITER"] == 2  # a user's key wins
    assert config["DATASETS"]["TEST"] == ["folder_val"]
    last = json.loads((output / "metrics.json").read_text().splitlines()[-1])
    assert 0 <= last["label_map/SBD"] <= 100
    found = tmp_path / "found"
    images = str(folder / "images")
    assert predict.main(["--weights", str(output), "--input", images, "--output", str(found)]) == 0
    labels = np.asarray(Image.open(found / "labels" / "0.png"))
    assert labels.shape == (40, 48)
    assert len(list((found / "overlays").iterdir())) == 6


def test_parts_of_the_data_are_held_out_by_number(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(train, "launch", lambda main, args: train.configs(args))
    names = {}
    for fold in ("1/3", "2/3", "3/3"):
        assert run(folder, tmp_path / "out", "--fold", fold, "SOLVER.MAX_ITER", "2") == 0
        for name in ("folder_train", "folder_val"):
            records = train.DatasetCatalog.get(name)
            names[fold, name] = {record["file_name"] for record in records}
        assert not names[fold, "folder_train"] & names[fold, "folder_val"]
        assert len(names[fold, "folder_train"] | names[fold, "folder_val"]) == 6
    held_out = [names[fold, "folder_val"] for fold in ("1/3", "2/3", "3/3")]
    assert len(set.union(*held_out)) == sum(map(len, held_out)) == 6


def test_nothing_is_held_out_where_that_is_asked_for(folder, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(train, "launch", lambda main, args: seen.append(train.configs(args)[0]))
    assert run(folder, tmp_path / "out", "--fold", "none") == 0
    assert len(train.DatasetCatalog.get("folder_train")) == 6
    assert tuple(seen[0].DATASETS.TEST) == ()


def test_minutes_become_iterations(folder, tmp_path, monkeypatch):
    seen = {}

    def note(main, args):
        cfg, _, plan = train.configs(args)
        seen["iterations"], seen["plan"] = cfg.SOLVER.MAX_ITER, str(plan)

    monkeypatch.setattr(train, "launch", note)
    run(folder, tmp_path / "out", "--minutes", "0.01")
    assert seen["iterations"] == 50  # the least
    assert "SOLVER.MAX_ITER 50: 0.01 minutes at" in seen["plan"]
    run(folder, tmp_path / "out2", "--minutes", "10000")
    assert seen["iterations"] > 50
    assert seen["iterations"] % 10 == 0


def test_training_goes_on_from_weights_with_their_config(folder, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    run(folder, first, "SOLVER.MAX_ITER", "2")
    weights = str(first / "model_final.pth")
    assert run(folder, second, "--weights", weights, "SOLVER.MAX_ITER", "1") == 0
    config = yaml.safe_load((second / "config.yaml").read_text())
    assert config["MODEL"]["WEIGHTS"] == weights
    assert config["SOLVER"]["MATRIX_LR"] < 0.04
    assert "a third, from trained weights" in (second / "plan.txt").read_text()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--fold", "0/3"], "--fold is '0/3'; expected K/N"),
        (["--fold", "half"], "--fold is 'half'; expected K/N"),
        (["--minutes", "0"], "--minutes is 0.0; expected a number above 0"),
        (["--minutes", "1", "--config-file", "ris_small.yaml"], "without SOLVER.PHASES"),
        (["--weights", "recseg://nothing"], "there is no such model"),
    ],
)
def test_options_that_cannot_work_are_refused(folder, tmp_path, options, message):
    with pytest.raises(UserError, match=message):
        run(folder, tmp_path / "out", *options)
