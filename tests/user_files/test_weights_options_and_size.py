"""Weights, options and large data as people have them."""

from __future__ import annotations

import pickle
import tracemalloc

import numpy as np
import pytest
from detectron2.modeling import build_model
from PIL import Image
from user_files.small import coco, picture

from recseg_d2 import cli
from recseg_d2.cli import train
from recseg_d2.cli.model_options import find_images
from recseg_d2.cli.own_data import FOLDER_TRAIN
from recseg_d2.config import load_config
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.catalog import unregister
from recseg_d2.data.loader import build_train_loader
from recseg_d2.data.mapper import InstanceMapper
from recseg_d2.data.sources.cvppp import CvpppH5
from recseg_d2.data.sources.instance_ids import CITYSCAPES_DIVISOR, LABEL_IDS, InstanceIdRule
from recseg_d2.data.synthetic.layouts import LAYOUTS
from recseg_d2.engine.weights import load_weights
from recseg_d2.errors import UserError

TINY = [
    *("MODEL.DEVICE", "cpu", "TEST.NUM_PICTURES", "0", "SOLVER.IMS_PER_BATCH", "1"),
    *("MODEL.SEQUENTIAL.STEPS", "2", "MODEL.SEQUENTIAL.IMAGE_SIZE", "(32,32)"),
    *("MODEL.SMALL_ENCODER.WIDTHS", "[4,6]", "MODEL.RSIS.HIDDEN_WIDTHS", "[6,4]"),
]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["SOLVER.MAX_ITR", "3"], "Non-existent key: SOLVER.MAX_ITR"),
        (["SOLVER.MAX_ITER", "many"], "SOLVER.MAX_ITER"),
        (["SOLVER.MAX_ITER=3"], "odd length"),
    ],
)
def test_k01_typo_type_and_equals_sign(keys, message):
    with pytest.raises(UserError, match=message):
        load_config("rsis_small.yaml", keys)


def test_k05_weights_of_the_zoo_that_are_another_models(tmp_path):
    weights = {"backbone.bottom_up.stem.conv1.weight": np.zeros((64, 3, 7, 7), np.float32)}
    content = {"model": weights, "__author__": "Detectron2 Model Zoo"}
    (tmp_path / "zoo.pkl").write_bytes(pickle.dumps(content))
    model = build_model(load_config("rsis_small.yaml", TINY))
    with pytest.raises(UserError, match=r"zoo\.pkl: none of its 1 weights \(backbone\.bottom_up"):
        load_weights(model, str(tmp_path / "zoo.pkl"))


def test_k08_divergence(tmp_path, capsys):
    data = coco(tmp_path / "data")
    keys = ["SOLVER.MAX_ITER", "9", "SOLVER.BASE_LR", "1e30", "OUTPUT_DIR", str(tmp_path / "out")]
    argv = ["--config-file", "rsis_small.yaml", "--train-data", str(data), *TINY, *keys]
    assert cli.run(train.main, argv) == 2
    unregister(FOLDER_TRAIN)
    error = capsys.readouterr().err
    assert "loss" in error.rpartition("error: ")[2]  # and not a traceback


def test_k09_hdf5_in_worker_processes(tmp_path):
    LAYOUTS["cvppp_h5"](tmp_path, "train", [0, 1, 2], 48)
    images, truth = (tmp_path / f"CVPPP2017_training_{part}.h5" for part in ("images", "truth"))
    CvpppH5("user_files_h5", images, truth, "A1", "trainval").register()
    keys = ["DATASETS.TRAIN", "('user_files_h5',)", "DATALOADER.NUM_WORKERS", "2"]
    cfg = load_config("rsis_small.yaml", [*TINY, *keys])
    batches = iter(build_train_loader(cfg))
    seen = [next(batches)[0] for _ in range(3)]
    unregister("user_files_h5")
    assert len({d["image_id"] for d in seen}) == 3
    assert all(d["image"].shape == (3, 32, 32) and len(d["instances"]) for d in seen)


def test_k10_cityscapes_without_licence_plates_and_with_groups():
    ids = np.array([[65535, 26], [26001, 7]], np.uint16)  # -1, a group of cars, a car, road
    found = InstanceIdRule(LABEL_IDS, CITYSCAPES_DIVISOR).label_map(ids)
    annotations = found.annotations()
    assert [(a["category_id"], a["iscrowd"]) for a in annotations] == [(2, 1), (2, 0)]


def test_p01_images_of_equal_names(tmp_path):
    for part in ("one", "two"):
        (tmp_path / part).mkdir()
        Image.fromarray(picture()).save(tmp_path / part / "a.png")
    with pytest.raises(UserError, match="would both be stored as 'a'"):
        find_images([str(tmp_path / "one"), str(tmp_path / "two")])


def test_m01_many_objects_take_the_memory_of_a_few(tmp_path):
    side, count = 500, 200
    labels = np.zeros((side, side), np.int32)
    labels[::25, ::25][:20, :10] = np.arange(1, count + 1).reshape(20, 10)
    Image.new("RGB", (side, side)).save(tmp_path / "a.png")
    record = {
        **{"file_name": str(tmp_path / "a.png"), "image_id": 1, "height": side, "width": side},
        "annotations": label_map_to_annotations(labels),
    }
    mapper = InstanceMapper(load_config("rsis_small.yaml", TINY))
    mapper(record)
    tracemalloc.start()
    mapper(record)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(record["annotations"]) == count
    assert peak < count * side * side / 4
