from __future__ import annotations

import shutil

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Boxes, BoxMode, Instances
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.sources.instance_ids import LABEL_IDS, STREET_CLASSES
from recseg_d2.data.sources.kitti2015 import SPLITS, Kitti2015
from recseg_d2.data.synthetic.layouts import export_dataset
from recseg_d2.data.synthetic.streets import draw_street
from recseg_d2.data.validation import check_dataset_dicts
from recseg_d2.errors import UserError
from recseg_d2.evaluation import build_evaluator

HEIGHT, SIZE = 48, (48, 159)
SEEDS = [0, 3, 5, 6, 7, 8]  # the first and the sixth are for validation


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("streets") / "kitti2015"
    export_dataset("kitti2015", out, SEEDS, [30], HEIGHT)
    return out


def load(new_name, root, split, cars_only=False):
    name = new_name()
    Kitti2015(name, root, split, cars_only).register()
    return DatasetCatalog.get(name)


def test_splits_are_disjoint_and_complete(root, new_name):
    ids = {s: [r["image_id"] for r in load(new_name, root, s)] for s in SPLITS}
    assert ids["val"] == ["000000_10", "000005_10"]
    assert sorted(ids["train"] + ids["val"]) == ids["trainval"]
    assert len(ids["trainval"]) == len(SEEDS)
    assert ids["test"] == ["000000_10"]


@pytest.mark.parametrize("cars_only", [False, True])
def test_annotations_are_what_was_drawn(root, new_name, cars_only):
    records = load(new_name, root, "trainval", cars_only)
    check_dataset_dicts(records, "kitti2015", 1 if cars_only else 8)
    for record, seed in zip(records, SEEDS, strict=True):
        ids = draw_street(seed, SIZE).ids
        drawn = {}
        for value in np.unique(ids).tolist():
            label = value // 1000 if value >= 1000 else value
            if label in ([26] if cars_only else LABEL_IDS):
                category = 0 if cars_only else LABEL_IDS.index(label)
                drawn[value] = (category, int(value < 1000), ids == value)
        key = lambda item: (item[0], -item[1])  # noqa: E731  a group comes before its class
        expected = sorted(drawn.values(), key=key)
        for annotation, (category, crowd, mask) in zip(
            record["annotations"], expected, strict=True
        ):
            assert (annotation["category_id"], annotation["iscrowd"]) == (category, crowd)
            np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), mask)


def test_the_files_encode_as_the_benchmark_does(root):
    pixels = np.asarray(Image.open(root / "training/instance/000001_10.png"))
    semantic = np.asarray(Image.open(root / "training/semantic/000001_10.png"))
    ids = draw_street(SEEDS[1], SIZE).ids
    assert (pixels.dtype, semantic.dtype) == (np.uint16, np.uint8)
    np.testing.assert_array_equal(pixels // 256, semantic)
    np.testing.assert_array_equal(pixels % 256 > 0, ids >= 1000)
    np.testing.assert_array_equal((pixels % 256 - 1)[ids >= 1000], (ids % 1000)[ids >= 1000])


def exact_output(record):
    """The truth as a prediction, its groups left out."""
    objects = [a for a in record["annotations"] if not a["iscrowd"]]
    masks = np.stack([coco_mask.decode(a["segmentation"]) for a in objects]).astype(bool)
    instances = Instances((record["height"], record["width"]))
    instances.pred_masks = torch.from_numpy(masks)
    boxes = [BoxMode.convert(a["bbox"], a["bbox_mode"], BoxMode.XYXY_ABS) for a in objects]
    instances.pred_boxes = Boxes(torch.tensor(boxes))
    instances.scores = torch.full((len(objects),), 0.9)
    instances.pred_classes = torch.tensor([a["category_id"] for a in objects])
    return {"instances": instances}


@pytest.mark.parametrize(
    ("cars_only", "expected"),
    [(False, {"segm": {"AP": 100.0}}), (True, {"label_map": {"MWCov": 100.0, "AvgFP": 0.0}})],
)
def test_exact_predictions_score_full_marks(root, new_name, tmp_path, cars_only, expected):
    name = new_name()
    Kitti2015(name, root, "trainval", cars_only).register()
    assert any(a["iscrowd"] for r in load(new_name, root, "trainval") for a in r["annotations"])
    cfg = get_recseg_cfg()
    cfg.OUTPUT_DIR = str(tmp_path)
    evaluator = build_evaluator(cfg, name)
    evaluator.reset()
    for record in DatasetCatalog.get(name):
        evaluator.process([record], [exact_output(record)])
    results = evaluator.evaluate()
    for task, scores in expected.items():
        assert {key: results[task][key] for key in scores} == pytest.approx(scores)


def test_builtin_names_and_metadata():
    for split in SPLITS:
        metadata = MetadataCatalog.get(f"recseg_kitti2015_{split}")
        assert (metadata.thing_classes, metadata.evaluator_type) == (list(STREET_CLASSES), "coco")
        metadata = MetadataCatalog.get(f"recseg_kitti2015_car_{split}")
        assert (metadata.thing_classes, metadata.evaluator_type) == (["car"], "label_map")
        assert "mwcov" in metadata.metrics


def test_incomplete_sets_are_refused_by_name(root, tmp_path, new_name):
    with pytest.raises(UserError, match=r"training/image_2: found no image.*data_semantics\.zip"):
        load(new_name, tmp_path / "gone", "train")
    with pytest.raises(UserError, match="split: found 'dev', expected one of train"):
        Kitti2015(new_name(), root, "dev")
    copy = shutil.copytree(root, tmp_path / "kitti2015")
    labels = copy / "training/instance/000003_10.png"
    labels.unlink()
    with pytest.raises(UserError, match=r"instance/000003_10\.png: no such file"):
        load(new_name, copy, "train")
    Image.new("P", (159, 48)).save(labels)
    with pytest.raises(UserError, match=r"000003_10\.png: found pixel type 'P'"):
        load(new_name, copy, "train")
