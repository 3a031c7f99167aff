"""A user's own data in COCO's and Pascal VOC's forms, given to the tools."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from projects.instance_fcn import random_proposals
from recseg_d2 import cli
from recseg_d2.cli import baseline, train, visualize
from recseg_d2.cli.own_data import FOLDER_TRAIN, FOLDER_VAL
from recseg_d2.data.layouts import LAYOUTS
from recseg_d2.data.proposal_files import load_proposals

SIZE = 48
COMMON = [
    *("MODEL.DEVICE", "cpu", "TEST.NUM_PICTURES", "1", "DATALOADER.NUM_WORKERS", "0"),
    *("MODEL.RECURRENT.IMAGE_SIZE", "(32,32)", "MODEL.RECURRENT.STEPS", "3"),
    *("SOLVER.IMS_PER_BATCH", "2", "SOLVER.MAX_ITER", "1"),
]
MODELS = {
    "rsis_small.yaml": [
        *("MODEL.SMALL_ENCODER.WIDTHS", "[4,6]", "MODEL.RSIS.HIDDEN_WIDTHS", "[6,4]"),
    ],
    "ris_small.yaml": ["SOLVER.PHASES", "[]"],
    "instancefcn_small.yaml": [
        *("INPUT.MIN_SIZE_TRAIN", "(48,)", "MODEL.INSTANCE_FCN.TEST.SCALES", "(48,)"),
        *("MODEL.INSTANCE_FCN.TEST.TOPK", "20"),
    ],
}


@pytest.fixture(scope="module")
def coco(tmp_path_factory) -> Path:
    """The folder of annotations of a data set in COCO's form, of one category."""
    root = tmp_path_factory.mktemp("coco")
    LAYOUTS["coco"](root, "train", [0, 1, 2], SIZE)
    LAYOUTS["coco"](root, "val", [3, 4], SIZE)
    return root / "annotations"


@pytest.fixture(scope="module")
def voc(tmp_path_factory) -> Path:
    """Lists of images of a data set in Pascal VOC's form."""
    root = tmp_path_factory.mktemp("voc")
    LAYOUTS["voc"](root, "train", [0, 1, 2, 3], SIZE)
    LAYOUTS["voc"](root, "val", [100, 101, 102], SIZE)
    return root / "VOC2012" / "ImageSets" / "Segmentation"


@pytest.fixture(autouse=True)
def clean_catalog():
    yield
    for name in (FOLDER_TRAIN, FOLDER_VAL):
        if name in DatasetCatalog.list():
            DatasetCatalog.remove(name)
        if name in MetadataCatalog.list():
            MetadataCatalog.remove(name)


def training(config, train_data, val_data, output, *options):
    data = ["--train-data", str(train_data), "--val-data", str(val_data)]
    keys = [*COMMON, *MODELS[config], "OUTPUT_DIR", str(output)]
    return ["--config-file", config, *data, *options, *keys]


def scores(output):
    lines = (output / "metrics.json").read_text().splitlines()
    return {key for line in lines for key in json.loads(line)}


@pytest.mark.slow
@pytest.mark.parametrize("config", MODELS)
def test_every_model_trains_and_is_evaluated_on_cocos_form(config, coco, tmp_path):
    parts = [coco / f"instances_{part}2017.json" for part in ("train", "val")]
    assert cli.run(train.main, training(config, *parts, tmp_path / "out")) == 0
    own = "segment_proposal/AR@10" if config.startswith("instancefcn") else "segm/AP"
    assert own in scores(tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("config", MODELS)
def test_every_model_trains_and_is_evaluated_on_vocs_form(config, voc, tmp_path):
    parts = [voc / f"{part}.txt" for part in ("train", "val")]
    argv = training(config, *parts, tmp_path / "out", "--one-class")
    assert cli.run(train.main, argv) == 0
    own = "segment_proposal/AR@10" if config.startswith("instancefcn") else "voc_segm/APr50"
    assert own in scores(tmp_path / "out")


def test_a_wrong_number_of_classes_is_refused_with_both_ways_out(voc, tmp_path, capsys):
    argv = training("rsis_small.yaml", voc / "train.txt", voc / "val.txt", tmp_path / "out")
    assert cli.run(train.main, argv) == 2
    message = capsys.readouterr().err
    assert "NUM_CLASSES is 1, but data set 'folder_train' has 20 (aeroplane," in message
    assert "set it to 20, or give --one-class" in message


def test_data_of_other_classes_is_refused_for_evaluation(coco, tmp_path, capsys):
    files = []
    for part, names in (("train", ("leaf", "stem")), ("val", ("stem", "leaf"))):
        contents = json.loads((coco / f"instances_{part}2017.json").read_text())
        contents["categories"] = [{"id": n, "name": name} for n, name in enumerate(names, start=1)]
        files.append(tmp_path / "annotations" / f"instances_{part}2017.json")
        files[-1].parent.mkdir(exist_ok=True)
        files[-1].write_text(json.dumps(contents))
        (tmp_path / f"{part}2017").symlink_to(coco.parent / f"{part}2017")
    argv = training("rsis_small.yaml", *files, tmp_path / "out")
    assert cli.run(train.main, [*argv, "MODEL.RECURRENT.NUM_CLASSES", "2"]) == 2
    assert "found 'leaf' and 'stem' as class 0" in capsys.readouterr().err


def test_pictures_beside_the_ground_truth(coco, tiny_run, tmp_path):
    options = ["--val-data", str(coco / "instances_val2017.json"), "--weights", str(tiny_run)]
    assert cli.run(visualize.main, [*options, "--output", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out" / "montage.png").is_file()


def test_random_boxes(coco, tmp_path):
    options = ["--val-data", str(coco / "instances_val2017.json"), "--number", "2"]
    assert cli.run(random_proposals.main, [*options, "--output", str(tmp_path)]) == 0
    found = load_proposals(tmp_path / f"proposals_{FOLDER_VAL}.json")
    assert [len(entries) for entries in found.values()] == [2, 2]


def test_a_baseline_of_a_second_data_set_in_one_process(coco, voc, tmp_path):
    for place, images in ((voc / "val.txt", 2), (coco / "instances_val2017.json", 2)):
        options = ["--method", "leaves", "--val-data", str(place), "--output", str(tmp_path)]
        assert cli.run(baseline.main, options) == 0
        found = json.loads((tmp_path / f"leaves_{FOLDER_VAL}.json").read_text())
        assert len(found["images"]) == images
    assert MetadataCatalog.get(FOLDER_VAL).thing_classes == ["leaf"]


@pytest.mark.parametrize("option", ["--min-objects", "--max-objects"])
def test_limits_under_zero_are_refused(coco, tmp_path, capsys, option):
    options = ["--method", "leaves", "--val-data", str(coco / "instances_val2017.json")]
    assert cli.run(baseline.main, [*options, option, "-1", "--output", str(tmp_path)]) == 2
    assert f"{option[2:]} " in capsys.readouterr().err
