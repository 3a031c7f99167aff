from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import DatasetCatalog
from detectron2.data.datasets import register_coco_instances
from pycocotools import mask as coco_mask

from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.data.synthetic.layouts import LAYOUTS, export_dataset
from recseg_d2.data.synthetic.rosettes import draw_label_map
from recseg_d2.errors import UserError

SIZE = 40


def assert_is_rosette(record, seed):
    labels = draw_label_map(seed, SIZE)
    masks = [coco_mask.decode(a["segmentation"]) for a in record["annotations"]]
    assert len(masks) == labels.max()
    for label, mask in enumerate(masks, start=1):
        np.testing.assert_array_equal(mask, labels == label)


def test_label_maps_are_own_data(tmp_path):
    export_dataset("label_maps", tmp_path / "d", [3, 4, 5], [6], SIZE)
    for part, seeds in (("train", [3, 4, 5]), ("val", [6])):
        source = open_own_data("rosettes", tmp_path / "d" / part)
        for record, seed in zip(source(), seeds, strict=True):
            assert_is_rosette(record, seed)


def test_coco_can_be_registered(tmp_path, new_name):
    export_dataset("coco", tmp_path / "d", [3, 4], [6], SIZE)
    for part, seeds in (("train", [3, 4]), ("val", [6])):
        name = new_name()
        root = tmp_path / "d"
        json_file = root / f"annotations/instances_{part}2017.json"
        register_coco_instances(name, {}, str(json_file), str(root / f"{part}2017"))
        for record, seed in zip(DatasetCatalog.get(name), seeds, strict=True):
            assert_is_rosette(record, seed)


def test_nothing_is_overwritten_and_layouts_are_named(tmp_path):
    (tmp_path / "mine.txt").write_text("keep")
    for layout in LAYOUTS:
        with pytest.raises(UserError, match="not an empty folder"):
            export_dataset(layout, tmp_path, [0], [1], SIZE)
    with pytest.raises(UserError, match="found 'imagenet', expected one of label_maps"):
        export_dataset("imagenet", tmp_path / "new", [0], [1], SIZE)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
