"""What every built-in data set has in common, on a small copy of each in its official layout."""

from __future__ import annotations

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from official import TRAIN_SEEDS, ZEBRA_VAL_SEEDS, missing_library, official_names

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.mapper import InstanceMapper
from recseg_d2.data.problems import Problem
from recseg_d2.data.validation import validate_dicts
from recseg_d2.evaluation.build import EVALUATORS

NAMES = official_names()
WITHOUT_TRUTH = [n for n in NAMES if n.endswith("_test") and n != "recseg_kitti_test"]


@pytest.fixture(params=NAMES)
def name(request, official_data):
    library = missing_library(request.param)
    if library is not None:
        pytest.skip(f"{library} is not installed")
    return request.param


def test_dicts_pass_the_validator(name):
    dicts = DatasetCatalog.get(name)
    report = validate_dicts(dicts, MetadataCatalog.get(name).thing_classes)
    assert report.problems == []
    assert 0 < report.summary.images <= len(TRAIN_SEEDS) + len(ZEBRA_VAL_SEEDS)
    assert (report.summary.unannotated > 0) == (name in WITHOUT_TRUTH)
    assert (report.summary.objects > 0) == (name not in WITHOUT_TRUTH)


def test_metadata_names_an_evaluator(name):
    assert MetadataCatalog.get(name).evaluator_type in EVALUATORS


def test_callers_may_change_what_they_get(name):
    changed = DatasetCatalog.get(name)
    before = [len(record.get("annotations", [])) for record in changed]
    for record in changed:
        record.get("annotations", []).clear()
        record["file_name"] = "gone"
    again = DatasetCatalog.get(name)
    assert [len(record.get("annotations", [])) for record in again] == before
    assert all(record["file_name"] != "gone" for record in again)


def test_the_mapper_takes_them(name):
    cfg = get_recseg_cfg()
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (48, 64)
    cfg.MODEL.NUM_CLASSES = len(MetadataCatalog.get(name).thing_classes)
    mapped = InstanceMapper(cfg, is_train=True)(DatasetCatalog.get(name)[0])
    assert mapped["image"].shape == (3, 48, 64)
    assert mapped["instances"].gt_masks.tensor.shape[1:] == (48, 64)


def test_a_missing_image_is_a_problem(name, tmp_path):
    record = DatasetCatalog.get(name)[0]
    record["file_name"] = str(tmp_path / "none.png")
    classes = MetadataCatalog.get(name).thing_classes
    expected = [Problem(record["file_name"], "no such image file.")]
    assert validate_dicts([record], classes).problems == expected
