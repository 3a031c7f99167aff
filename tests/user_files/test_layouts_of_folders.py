"""Folders as other programs leave them are recognised, and hold the same objects."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import yaml
from PIL import Image
from user_files.small import (
    CORNERS,
    HEIGHT,
    NAMES,
    SIDES,
    WIDTH,
    coco,
    found_problems,
    label_folder,
    label_map,
    load,
    picture,
    polygon,
    square,
)

from recseg_d2 import cli
from recseg_d2.cli import check_dataset
from recseg_d2.data.annotations import label_map_from_dict
from recseg_d2.data.sources.forms import Reading
from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.errors import UserError


def assert_right(place, parts=1, **options):
    records = load(place, **options)
    assert len(records) == parts * len(NAMES)
    for record in records:
        assert len(record["annotations"]) == len(CORNERS)
        np.testing.assert_array_equal(label_map_from_dict(record) > 0, label_map() > 0)
        assert [a["bbox"] for a in record["annotations"]] == [[*c, *SIDES] for c in CORNERS]
    assert found_problems(place, **options) == []


def images(folder, names=NAMES, ending=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        Image.fromarray(picture(seed)).save(folder / f"{name}{ending}")
    return folder


@pytest.mark.parametrize(
    "suffix", ["_mask", "_masks", "_label", "_labels", "_cp_masks", "_seg", ""]
)
def test_l02_suffix_mask(tmp_path, suffix):
    folder = label_folder(tmp_path)
    for name in NAMES:
        path = folder / "labels" / f"{name}.png"
        path.rename(path.with_stem(f"{name}{suffix}"))
    assert_right(folder)


def test_a_suffix_that_nobody_guesses(tmp_path):
    folder = label_folder(tmp_path)
    for name in NAMES:
        path = folder / "labels" / f"{name}.png"
        path.rename(path.with_stem(f"{name}-annotated"))
    with pytest.raises(UserError, match=r"labels/a0\.png: no such file"):
        load(folder)
    assert_right(folder, reading=Reading(label_suffix="-annotated"))
    assert check_dataset.main(["--data", str(folder), "--label-suffix=-annotated"]) == 0
    beside = images(tmp_path / "beside")
    for name in NAMES:
        Image.fromarray(label_map()).save(beside / f"{name}-annotated.png")
    assert_right(beside, reading=Reading(label_suffix="-annotated"))
    with pytest.raises(UserError, match=r"found no label map \*-other\.\* beside an image"):
        load(beside, reading=Reading(label_suffix="-other"))


@pytest.mark.parametrize("suffix", ["_mask", "_masks", "_label", "_labels", "_cp_masks"])
@pytest.mark.parametrize("image_suffix", ["", "_rgb", "_img"])
def test_l02b_cellpose_layout_and_others_side_by_side(tmp_path, suffix, image_suffix):
    folder = images(tmp_path, [f"{name}{image_suffix}" for name in NAMES], ".tif")
    for name in NAMES:
        Image.fromarray(label_map()).save(folder / f"{name}{suffix}.png")
    assert_right(folder)


def test_cellposes_seg_npy(tmp_path):
    folder = images(tmp_path)
    for name in NAMES:
        np.save(folder / f"{name}_seg.npy", {"masks": label_map(), "filename": f"{name}.png"})
    assert_right(folder)


@pytest.mark.parametrize(
    ("images_name", "labels_name"), [("Images", "Masks"), ("images", "masks"), ("IMG", "Labels")]
)
def test_l24_capital_dirs(tmp_path, images_name, labels_name):
    label_folder(tmp_path)
    (tmp_path / "images").rename(tmp_path / "i")
    (tmp_path / "i").rename(tmp_path / images_name)
    (tmp_path / "labels").rename(tmp_path / "l")
    (tmp_path / "l").rename(tmp_path / labels_name)
    assert_right(tmp_path)


def test_nested_folders(tmp_path):
    for part in ("one", "two"):
        label_folder(tmp_path / part)
        for kind in ("images", "labels"):
            (tmp_path / "all" / kind).mkdir(parents=True, exist_ok=True)
            (tmp_path / part / kind).rename(tmp_path / "all" / kind / part)
    assert_right(tmp_path / "all", parts=2)
    ids = [record["image_id"] for record in load(tmp_path / "all")]
    assert ids == [f"{part}/{name}" for part in ("one", "two") for name in NAMES]


@pytest.mark.parametrize("above", ["", "stage1_train"])
def test_l21_dsb2018(tmp_path, above):
    folder = tmp_path / above
    for seed, name in enumerate(NAMES):
        images(folder / f"id{seed}" / "images", [name])
        (folder / f"id{seed}" / "masks").mkdir()
        for n in range(len(CORNERS)):
            mask = Image.fromarray(255 * square(n).astype(np.uint8))
            mask.save(folder / f"id{seed}" / "masks" / f"{n}.png")
    assert_right(tmp_path)
    Image.new("L", (3, 3), 9).save(folder / "id1" / "masks" / "x.png")
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "id2" / "masks" / "x.png")
    problems = found_problems(tmp_path)
    assert "found a mask of 3x3 pixels, expected the image's 64x48" in problems[0]
    assert "found a mask without a pixel" in problems[1]


def labelme(folder, shapes, **more):
    images(folder)
    for name in NAMES:
        content = {"version": "5.0.1", "imagePath": f"{name}.png", "shapes": shapes, **more}
        (folder / f"{name}.json").write_text(json.dumps(content))
    return folder


def shape(points, label="leaf", kind="polygon", **more):
    return {"label": label, "points": points, "shape_type": kind, **more}


def corners(number):
    return np.reshape(polygon(number), (-1, 2)).tolist()


def test_c16_labelme_folder(tmp_path):
    folder = labelme(tmp_path, [shape(corners(n)) for n in range(len(CORNERS))])
    assert_right(folder)


def test_labelmes_other_shapes(tmp_path):
    shapes = [
        shape(corners(0), group_id=1),
        shape([corners(1)[0], corners(1)[2]], kind="rectangle", group_id=1),
        shape([[30.0, 36.0], [30.0, 41.0]], "nut", "circle"),
        shape([[1, 1]], "nut", "point"),
    ]
    (record, *_) = load(labelme(tmp_path, shapes))
    two, disc = record["annotations"]
    assert (two["category_id"], disc["category_id"]) == (0, 1)
    found = [label_map_from_dict({**record, "annotations": [a]}) > 0 for a in (two, disc)]
    np.testing.assert_array_equal(found[0], square(0) | square(1))
    assert abs(found[1].sum() - np.pi * 25) < 6
    assert found_problems(tmp_path) == ["shape 4 (nut) is a point: left out."] * len(NAMES)


def open_and_read(folder):
    source = open_own_data("labelme", folder)
    source.metadata()
    return source()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"imagePath": "../a0.png"}, "not in"),
        ({"imagePath": 3}, "found imagePath 3"),
        ({"shapes": [{"points": []}]}, "found shapes without labels"),
        ({"shapes": [shape("abc")]}, "shape 1: found points abc"),
        ({"shapes": [shape([[1, 2], [3]])]}, "shape 1: found points"),
        ({"shapes": []}, "found no object, expected some with the name of a class"),
    ],
)
def test_labelme_files_that_are_wrong(tmp_path, changes, message):
    folder = labelme(tmp_path, [shape(corners(0))])
    for name in NAMES:
        content = json.loads((folder / f"{name}.json").read_text())
        (folder / f"{name}.json").write_text(json.dumps({**content, **changes}))
    with pytest.raises(UserError, match=message):
        open_and_read(folder)


def yolo(folder, lines):
    images(folder / "images")
    (folder / "labels").mkdir(exist_ok=True)
    for name in NAMES:
        (folder / "labels" / f"{name}.txt").write_text("\n".join(lines))
    return folder


def yolo_line(number, kind=0):
    shares = np.reshape(polygon(number), (-1, 2)) / (WIDTH, HEIGHT)
    return " ".join([str(kind), *(f"{v:.6f}" for v in shares.ravel())])


def test_l03b_yolo_txt(tmp_path):
    folder = yolo(tmp_path, [yolo_line(n) for n in range(len(CORNERS))])
    assert_right(folder)
    (folder / "labels" / "a0.txt").write_text("")
    (folder / "labels" / "a1.txt").unlink()
    assert [len(r["annotations"]) for r in load(folder)] == [0, 0, 4]


@pytest.mark.parametrize("names", [["leaf", "stem"], {0: "leaf", 1: "stem"}])
def test_yolo_with_names_and_parts(tmp_path, names):
    folder = yolo(tmp_path / "data", [yolo_line(n, n % 2) for n in range(len(CORNERS))])
    for kind in ("images", "labels"):
        (folder / kind).rename(folder / "train")
        (folder / kind).mkdir()
        (folder / "train").rename(folder / kind / "train")
    (folder / "data.yaml").write_text(yaml.safe_dump({"names": names}))
    for place in (folder, folder / "images" / "train"):
        source = open_own_data("yolo", place)
        assert source.metadata()["thing_classes"] == ["leaf", "stem"]
        assert [a["category_id"] for a in source()[0]["annotations"]] == [0, 1, 0, 1]
        assert_right(place)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("0 0.5 0.5 0.2 0.2", r"a0\.txt, line 1: found a box .*boxes alone cannot train masks"),
        ("0 0.5 0.5 0.2 0.2 0.1", "line 1: found '0 0.5 0.5 0.2 0.2 0.1'; expected the class"),
        ("leaf 0.1 0.1 0.2 0.1 0.2 0.2", "line 1: found 'leaf"),
        ("0 10 10 20 10 20 20", "as shares of the image"),
        ("0 nan 0.1 0.2 0.1 0.2 0.2", "as shares of the image"),
        ("-1 0.1 0.1 0.2 0.1 0.2 0.2", "expected the class's number"),
    ],
)
def test_yolo_lines_that_are_wrong(tmp_path, line, message):
    folder = yolo(tmp_path, [line])
    (folder / "data.yaml").write_text("names: [leaf]")
    with pytest.raises(UserError, match=message):
        load(folder)


def test_yolo_classes_that_data_yaml_does_not_name(tmp_path):
    folder = yolo(tmp_path, [yolo_line(0, 3)])
    (folder / "data.yaml").write_text("names: [leaf]")
    with pytest.raises(UserError, match="found class 3, expected 0 to 0"):
        load(folder)
    (folder / "data.yaml").write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(UserError, match=r"data\.yaml: no readable YAML"):
        load(folder)


def test_c09_roboflow_and_cvat_folders(tmp_path):
    path = coco(tmp_path)
    assert_right(tmp_path)
    for name in NAMES:
        (tmp_path / "images" / f"{name}.png").rename(tmp_path / f"{name}.png")
    (tmp_path / "images").rmdir()
    path.rename(tmp_path / "_annotations.coco.json")
    assert_right(tmp_path)
    (tmp_path / "other.json").write_text((tmp_path / "_annotations.coco.json").read_text())
    with pytest.raises(UserError, match=r"_annotations\.coco\.json, .*other\.json: name one"):
        load(tmp_path)


def test_c09_unused_category(tmp_path, capsys):
    def root(contents):
        contents["categories"].insert(0, {"id": 0, "name": "leaves"})

    coco(tmp_path, root)
    assert check_dataset.main(["--data", str(tmp_path)]) == 0
    assert open_own_data("c09", tmp_path).metadata()["thing_classes"] == ("leaves", "leaf")


def test_it_is_said_which_form_was_taken(tmp_path, caplog, capsys):
    folder = label_folder(tmp_path)
    with caplog.at_level(logging.INFO, "recseg_d2"):
        load(folder)
    assert f"{folder}: taken as a folder with images/ and labels/" in caplog.text
    assert cli.run(check_dataset.main, ["--data", str(folder)]) == 0
    assert "taken as a folder with images/ and labels/" in capsys.readouterr().out
