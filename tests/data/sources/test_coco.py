from __future__ import annotations

import json

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.datasets import register_coco_instances

from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.sources import coco_categories
from recseg_d2.data.sources.coco import Coco
from recseg_d2.data.synthetic.layouts import export_dataset
from recseg_d2.data.synthetic.layouts.drawn import numbered_scenes
from recseg_d2.data.validation import validate_dicts
from recseg_d2.errors import UserError
from recseg_d2.metrics import select_metrics

SQUARE = [[1.0, 1.0, 4.0, 1.0, 4.0, 4.0, 1.0, 4.0]]
CROWD = {"size": [6, 8], "counts": [0, 6, 42]}  # the first column
SIZE = 64


def annotation(number, image_id, category_id, segmentation=SQUARE, iscrowd=0):
    return {
        "id": number, "image_id": image_id, "category_id": category_id, "iscrowd": iscrowd,
        "bbox": [0.0, 0.0, 1.0, 6.0] if iscrowd else [1.0, 1.0, 3.0, 3.0], "area": 9,
        "segmentation": segmentation,
    }  # fmt: skip


@pytest.fixture
def json_file(tmp_path):
    """Images 30, 10, 20, 40: zebra and crowd of zebras; person; crowd of zebras; nothing."""
    contents = {
        "images": [
            {"id": i, "file_name": f"{i}.jpg", "height": 6, "width": 8} for i in (30, 10, 20, 40)
        ],
        "annotations": [
            annotation(1, 30, 24), annotation(2, 30, 24, CROWD, 1), annotation(3, 30, 1),
            annotation(4, 10, 1), annotation(5, 20, 24, CROWD, 1),
        ],
        "categories": [{"id": 1, "name": "person"}, {"id": 24, "name": "zebra"}],
    }  # fmt: skip
    path = tmp_path / "instances.json"
    path.write_text(json.dumps(contents))
    return path


def subset(json_file, categories=("zebra",), **selection):
    return Coco("s", json_file, json_file.parent / "images", categories, **selection)


def ids(source):
    return [record["image_id"] for record in source()]


def test_one_category_worked_by_hand(json_file):
    (record,) = subset(json_file)()
    assert record["file_name"] == str(json_file.parent / "images" / "30.jpg")
    assert (record["height"], record["width"], record["image_id"]) == (6, 8, 30)
    zebra, crowd = record["annotations"]
    assert (zebra["category_id"], zebra["iscrowd"], zebra["segmentation"]) == (0, 0, SQUARE)
    assert (crowd["category_id"], crowd["iscrowd"]) == (0, 1)
    mask = decode_segmentation(crowd["segmentation"], (6, 8), "test")
    assert mask[:, 0].all()
    assert not mask[:, 1:].any()
    json.dumps(crowd["segmentation"])


def test_categories_are_numbered_in_the_order_given(json_file):
    both = subset(json_file, ("zebra", "person"))()
    assert {r["image_id"]: [a["category_id"] for a in r["annotations"]] for r in both} == {
        10: [1],
        30: [0, 0, 1],
    }
    other = subset(json_file, ("person", "zebra"))()
    assert [a["category_id"] for a in other[1]["annotations"]] == [1, 1, 0]


def test_which_images_are_kept(json_file):
    assert ids(subset(json_file)) == [30]  # a crowd alone is no zebra
    assert ids(subset(json_file, only_with_objects=False)) == [10, 20, 30, 40]
    assert ids(subset(json_file, only_with_objects=False, first=2)) == [10, 20]
    assert ids(subset(json_file, ("person",), first=1)) == [10]


def test_a_sample_is_that_of_its_seed(json_file):
    def draw(sample, seed):
        return ids(subset(json_file, only_with_objects=False, sample=sample, seed=seed))

    all_ids = np.array([10, 20, 30, 40])
    for seed in range(4):
        expected = sorted(all_ids[np.random.RandomState(seed).permutation(4)[:2]])
        assert draw(2, seed) == expected
    assert len({tuple(draw(2, seed)) for seed in range(8)}) > 1
    assert draw(9, 0) == [10, 20, 30, 40]


def test_callers_may_change_what_they_get(json_file):
    source = subset(json_file)
    source()[0]["annotations"].clear()
    assert len(source()[0]["annotations"]) == 2


def test_polygons_without_three_points_are_left_out(json_file, caplog):
    contents = json.loads(json_file.read_text())
    contents["annotations"][0]["segmentation"] = [[1, 1, 2, 2], *SQUARE]
    contents["annotations"].append(annotation(9, 30, 24, [[1, 1, 2, 2]]))
    json_file.write_text(json.dumps(contents))
    (record,) = subset(json_file)()
    assert [a["segmentation"] for a in record["annotations"] if not a["iscrowd"]] == [SQUARE]
    assert "annotation 9 has no mask" in caplog.text


@pytest.mark.parametrize(
    ("segmentation", "message"),
    [
        ({"size": [8, 6], "counts": [0, 6, 42]}, "found an RLE of size .8, 6., which is .width"),
        ({"size": [12, 16], "counts": [192]}, "found a mask of 16x12 pixels"),
        ({"size": [6, 8], "counts": [3, 3, 9, 3]}, "found an RLE of 18 pixels in all"),
        ({"size": [6, 8], "counts": "061:"}, "found an RLE of"),
        ({"size": [6, 8], "counts": "06o"}, "found an RLE whose compressed counts are cut"),
    ],
)
def test_damaged_masks_are_refused_before_training(json_file, segmentation, message):
    contents = json.loads(json_file.read_text())
    contents["annotations"][0]["segmentation"] = segmentation
    json_file.write_text(json.dumps(contents))
    source = subset(json_file, ("zebra", "person"))
    with pytest.raises(UserError, match=rf"instances\.json: annotation 1: {message}"):
        source()
    records, problems = source.survey()
    assert [r["image_id"] for r in records] == [10]
    assert [p.file for p in problems] == [str(json_file.parent / "images" / "30.jpg")]


def test_what_is_wrong_is_named(tmp_path, json_file):
    with pytest.raises(UserError, match=r"none\.json: no such file"):
        subset(tmp_path / "none.json")()
    with pytest.raises(UserError, match="found no category giraffe; it has person, zebra"):
        subset(json_file, ("giraffe",))()
    with pytest.raises(UserError, match="none of 4 images has an object of zebra"):
        subset(json_file, first=1)()
    (tmp_path / "bad.json").write_text("{")
    with pytest.raises(UserError, match="no readable JSON"):
        subset(tmp_path / "bad.json")()
    (tmp_path / "list.json").write_text('{"images": []}')
    with pytest.raises(UserError, match="has no annotations, categories; expected COCO's"):
        subset(tmp_path / "list.json")()


def test_names_and_ids_of_coco():
    pairs = dict(zip(coco_categories.NAMES, coco_categories.IDS, strict=True))
    assert len(pairs) == 80
    assert (pairs["person"], pairs["zebra"], pairs["toothbrush"]) == (1, 24, 90)
    assert (pairs["stop sign"], pairs["backpack"], pairs["dining table"]) == (13, 27, 67)


def test_builtin_names():
    sizes = {"zebra_train": 1, "zebra_val": 1, "2014_train": 80, "2014_val5k": 80}
    kinds = {"zebra": "label_map", "2014": "coco"}
    for name, count in sizes.items():
        metadata = MetadataCatalog.get(f"recseg_coco_{name}")
        assert len(metadata.thing_classes) == count
        assert metadata.evaluator_type == kinds[name.split("_")[0]]
    zebras = MetadataCatalog.get("recseg_coco_zebra_val")
    keys = [one.key for one in select_metrics(zebras.metrics)]
    assert keys == ["MWCov", "MUCov", "DiC", "absDiC", "CountAcc"]
    assert DatasetCatalog["recseg_coco_zebra_train"].sample == 1000
    assert DatasetCatalog["recseg_coco_2014_val5k"].first == 5000


def test_the_layout_holds_what_was_drawn(tmp_path, new_name):
    pytest.importorskip("skimage")
    export_dataset("coco_2014", tmp_path / "coco", range(4), [9], SIZE)
    name, root = new_name(), tmp_path / "coco"
    json_file = root / "annotations" / "instances_train2014.json"
    Coco(name, json_file, root / "train2014", only_with_objects=False).register()
    dicts = DatasetCatalog.get(name)
    report = validate_dicts(dicts, coco_categories.NAMES)
    assert report.problems == []
    assert report.summary.crowds == 1
    for record, scene in zip(dicts, numbered_scenes(list(range(4)), SIZE), strict=True):
        drawn = scene.labels > 0
        found = np.zeros_like(drawn)
        for a in record["annotations"]:
            found |= decode_segmentation(a["segmentation"], drawn.shape, "layout") > 0
        assert (found != drawn).mean() < 0.03  # polygons are drawn into pixels again


def test_detectron2_reads_the_layout_too(tmp_path, new_name):
    pytest.importorskip("skimage")
    export_dataset("coco_2014", tmp_path / "coco", range(4), [9], SIZE)
    root, theirs, ours = tmp_path / "coco", new_name(), new_name()
    json_file = root / "annotations" / "instances_train2014.json"
    register_coco_instances(theirs, {}, str(json_file), str(root / "train2014"))
    Coco(ours, json_file, root / "train2014", only_with_objects=False).register()
    for a, b in zip(DatasetCatalog.get(theirs), DatasetCatalog.get(ours), strict=True):
        assert a["file_name"] == b["file_name"]
        assert [x["category_id"] for x in a["annotations"]] == [
            x["category_id"] for x in b["annotations"]
        ]
        for x, y in zip(a["annotations"], b["annotations"], strict=True):
            shape = (b["height"], b["width"])
            np.testing.assert_array_equal(
                decode_segmentation(x["segmentation"], shape, "theirs"),
                decode_segmentation(y["segmentation"], shape, "ours"),
            )


def test_ids_of_one_name_are_one_category(json_file):
    contents = json.loads(json_file.read_text())
    contents["categories"].append({"id": 7, "name": "zebra"})
    contents["annotations"].append(annotation(9, 40, 7))
    json_file.write_text(json.dumps(contents))
    found = {
        r["image_id"]: [a["category_id"] for a in r["annotations"]] for r in subset(json_file)()
    }
    assert found == {30: [0, 0], 40: [0]}


def test_a_survey_names_annotations_that_are_left_out(json_file):
    contents = json.loads(json_file.read_text())
    contents["annotations"] += [
        annotation(6, 99, 24), annotation(7, 30, 5), annotation(8, 30, 24, [[1.0, 1.0, 2.0, 2.0]]),
    ]  # fmt: skip
    json_file.write_text(json.dumps(contents))
    records, problems = subset(json_file).survey()
    assert [len(r["annotations"]) for r in records] == [2]
    assert {p.file for p in problems} == {str(json_file)}
    assert [p.message for p in problems] == [
        "annotation 6: found image_id 99, which no image has.",
        "annotation 7: found category_id 5, which no category has.",
        "annotation 8 has no mask: left out.",
    ]


@pytest.mark.parametrize(
    ("entries", "key"), [("images", "height"), ("annotations", "image_id"), ("categories", "name")]
)
def test_entries_without_a_key_are_refused(json_file, entries, key):
    contents = json.loads(json_file.read_text())
    del contents[entries][1][key]
    json_file.write_text(json.dumps(contents))
    with pytest.raises(UserError, match=rf"instances\.json: {entries}\[1\] has no {key}; expected"):
        subset(json_file)()


@pytest.mark.parametrize("part", ["train", "val"])
def test_real_files(coco_sample, new_name, part):
    name = new_name()
    json_file = coco_sample / "annotations" / f"instances_{part}2017.json"
    Coco(name, json_file, coco_sample / f"{part}2017", only_with_objects=False).register()
    report = validate_dicts(DatasetCatalog.get(name), coco_categories.NAMES)
    assert report.problems == []
    assert report.summary.images == {"train": 80, "val": 79}[part]
    assert report.summary.crowds == {"train": 8, "val": 5}[part]
