"""Data in each of the forms that a user's own may have, as ``make_dataset`` writes them."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.io.image_folder import find_image_folder
from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.data.sources.voc import VOC_CLASSES
from recseg_d2.data.synthetic.layouts import LAYOUTS
from recseg_d2.data.validation import validate_dicts
from recseg_d2.errors import UserError

SIZE = 48
SQUARE = [[1.0, 1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0]]
CROWD = {"size": [6, 8], "counts": [0, 6, 42]}


@pytest.fixture
def load(new_name):
    """Registers data with options; gives its dicts and metadata."""

    def load(place, **options):
        name = new_name()
        open_own_data(name, place, **options).register()
        return DatasetCatalog.get(name), MetadataCatalog.get(name)

    return load


@pytest.fixture(scope="module")
def voc(tmp_path_factory):
    """VOC2012 with the masks of five images; train lists three of them, val two."""
    root = tmp_path_factory.mktemp("voc")
    LAYOUTS["voc"](root, "train", [0, 1, 2, 3], SIZE)
    LAYOUTS["voc"](root, "val", [100, 101, 102], SIZE)
    return root / "VOC2012"


@pytest.fixture
def coco(tmp_path):
    """Images 3 (two dogs, a cat, a crowd), 1 (a cat) and 2 (nothing), of categories 9, 4 and 5."""

    def annotation(number, image, category, segmentation=SQUARE, iscrowd=0):
        box = [0.0, 0.0, 1.0, 6.0] if iscrowd else [1.0, 1.0, 3.0, 3.0]
        given = {"image_id": image, "category_id": category, "segmentation": segmentation}
        return {"id": number, "bbox": box, "iscrowd": iscrowd, **given}

    contents = {
        "images": [{"id": i, "file_name": f"{i}.png", "height": 6, "width": 8} for i in (3, 1, 2)],
        "annotations": [
            *(annotation(1, 3, 9), annotation(2, 3, 9), annotation(3, 3, 4)),
            *(annotation(4, 3, 4, CROWD, 1), annotation(5, 1, 4)),
        ],
        "categories": [{"id": 9, "name": "dog"}, {"id": 4, "name": "cat"}, {"id": 5, "name": "ox"}],
    }
    for number in (1, 2, 3):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"{number}.png").touch()
    path = tmp_path / "animals.json"
    path.write_text(json.dumps(contents))
    return path


def test_label_maps(tmp_path, load):
    LAYOUTS["label_maps"](tmp_path, "train", [0, 1, 2], SIZE)
    dicts, metadata = load(tmp_path / "train", one_class=True)
    assert len(dicts) == 3
    assert (metadata.evaluator_type, metadata.thing_classes) == ("label_map", ["object"])
    counts = sorted(len(r["annotations"]) for r in dicts)
    assert len(load(tmp_path / "train", min_objects=counts[-1])[0]) == counts.count(counts[-1])


def test_pascal_vocs_form_and_its_lists(voc, load):
    dicts, metadata = load(voc)
    assert (metadata.evaluator_type, metadata.thing_classes) == ("voc_segm", list(VOC_CLASSES))
    assert validate_dicts(dicts, VOC_CLASSES).problems == []
    lists = voc / "ImageSets" / "Segmentation"
    parts = [load(lists / f"{part}.txt")[0] for part in ("train", "val")]
    assert [r["image_id"] for part in parts for r in part] == [r["image_id"] for r in dicts]
    assert all(len(part) >= 2 for part in parts)
    assert len({a["category_id"] for r in dicts for a in r["annotations"]}) > 1


def test_one_class_changes_the_categories_and_nothing_else(voc, load):
    before, (dicts, metadata) = load(voc)[0], load(voc, one_class=True)
    assert (metadata.evaluator_type, metadata.thing_classes) == ("voc_segm", ["object"])
    for record in before:
        for annotation in record["annotations"]:
            annotation["category_id"] = 0
    assert dicts == before


def test_cocos_form(coco, load):
    dicts, metadata = load(coco)
    assert (metadata.evaluator_type, metadata.thing_classes) == ("coco", ["cat", "ox", "dog"])
    assert [r["image_id"] for r in dicts] == [1, 2, 3]
    assert dicts[0]["file_name"] == str(coco.parent / "images" / "1.png")
    found = [[(a["category_id"], a["iscrowd"]) for a in r["annotations"]] for r in dicts]
    assert found == [[(0, 0)], [], [(2, 0), (2, 0), (0, 0), (0, 1)]]
    mask = decode_segmentation(dicts[2]["annotations"][3]["segmentation"], (6, 8), "crowd")
    np.testing.assert_array_equal(np.flatnonzero(mask.any(0)), [0])


def test_limits_leave_crowds_out_of_account(coco, load):
    def ids(fewest, most=None):
        dicts, _ = load(coco, min_objects=fewest, max_objects=most)
        return [r["image_id"] for r in dicts]

    assert ids(1) == [1, 3]
    assert ids(0, 3) == [1, 2, 3]
    assert ids(1, 2) == [1]
    with pytest.raises(UserError, match=r"json: none of 3 images is left; they have 0 to 3"):
        ids(4)


def test_a_survey_goes_on_after_bad_files_within_the_limits(voc, tmp_path):
    root = shutil.copytree(voc, tmp_path / "voc")
    bad = sorted((root / "SegmentationObject").iterdir())[1]
    bad.write_bytes(b"no image")
    records, (problem,) = open_own_data("bad", root, one_class=True).survey()
    assert len(records) == len(list((root / "SegmentationObject").iterdir())) - 1
    assert bad.stem in problem.file
    assert {a["category_id"] for r in records for a in r["annotations"]} == {0}


@pytest.mark.parametrize(
    ("json_file", "folder"),
    [
        ("annotations/instances_train2017.json", "train2017"),
        ("annotations/instances_default.json", "images/default"),
        ("annotations/val.json", "val"),
        ("annotations/all.json", "images"),
        ("train/_annotations.coco.json", "train"),
        ("train.json", "train"),
        ("labels.json", "images"),
    ],
)
def test_where_images_are_looked_for(tmp_path, json_file, folder):
    for place in (folder, json_file.rpartition("/")[0] or "."):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
    (tmp_path / folder / "b.jpg").touch()
    assert find_image_folder(tmp_path / json_file, ["a.jpg", "b.jpg"]) == tmp_path / folder


def test_images_that_are_nowhere_are_refused_with_the_places(coco):
    shutil.rmtree(coco.parent / "images")
    with pytest.raises(UserError, match=r"none of its images, such as 3\.png, in .*/animals, .*"):
        open_own_data("never", coco)


@pytest.mark.parametrize("key", ["images", "categories"])
def test_a_file_without_images_or_categories_is_refused(coco, key):
    contents = json.loads(coco.read_text())
    coco.write_text(json.dumps({**contents, key: []}))
    with pytest.raises(UserError, match=r"json: found . images and . categories, expected"):
        open_own_data("never", coco)


def test_other_places_are_refused(tmp_path):
    (tmp_path / "a.zip").touch()
    (tmp_path / "coco" / "annotations").mkdir(parents=True)
    (tmp_path / "coco" / "annotations" / "val.json").touch()
    (tmp_path / "half" / "JPEGImages").mkdir(parents=True)
    (tmp_path / "broken.json").write_text("{")
    (tmp_path / "list.txt").touch()
    for place, message in (
        ("gone", "expected .*a folder with images/ and labels/.* found nothing there"),
        ("a.zip", "found a .zip file"),
        ("list.txt", "found a .txt file"),
        ("coco", "found a folder with annotations/"),
        ("half", "found JPEGImages, expected SegmentationObject, SegmentationClass too"),
        ("broken.json", "no readable JSON"),
        (".", "found a folder with a.zip, coco/, half/, list.txt"),
    ):
        if place == ".":
            (tmp_path / "broken.json").unlink()
        with pytest.raises(UserError, match=message):
            open_own_data("never", tmp_path / place)
