"""COCO files as tools and people write them: read right, or refused by name before training."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from user_files.small import (
    CORNERS,
    HEIGHT,
    NAMES,
    SIDES,
    WIDTH,
    coco,
    found_problems,
    label_map,
    load,
    picture,
    polygon,
    square,
)

from recseg_d2 import cli, rle
from recseg_d2.cli import check_dataset
from recseg_d2.data.annotations import label_map_from_dict
from recseg_d2.data.sources.forms import Reading
from recseg_d2.errors import UserError

OUTSIDE = Reading(allow_outside=True)


def each(entries, **fields):
    """Set fields of all entries; a function is called with the number of the square."""
    for n, entry in enumerate(entries):
        for key, value in fields.items():
            entry[key] = value(n % len(CORNERS)) if callable(value) else value


def masks_of(folder, **fields):
    """An annotation file whose annotations have these fields."""
    return coco(folder, lambda contents: each(contents["annotations"], **fields))


def images_of(folder, **fields):
    return coco(folder, lambda contents: each(contents["images"], **fields))


def assert_right(place, **options):
    records = load(place, **options)
    assert [r["file_name"].rpartition("/")[2] for r in records] == [f"{n}.png" for n in NAMES]
    for record in records:
        assert len(record["annotations"]) == len(CORNERS)
        found = label_map_from_dict(record)
        assert len(np.unique(found)) == 1 + len(CORNERS)
        np.testing.assert_array_equal(found > 0, label_map() > 0)


def assert_refused(place, message, **options):
    with pytest.raises(UserError, match=message):
        load(place, **options)


def counts(number):
    return rle.run_lengths(rle.encode(square(number))).tolist()


def compressed(number):
    return rle.encode(square(number))["counts"]


def test_c01_flat_polygon(tmp_path):
    assert_right(masks_of(tmp_path, segmentation=polygon))


def test_c01b_point_pairs(tmp_path):
    def points(number):
        return np.reshape(polygon(number), (-1, 2)).tolist()

    assert_right(masks_of(tmp_path, segmentation=points))
    assert_right(masks_of(tmp_path, segmentation=lambda n: [points(n)]))


def test_c02_list_of_rle(tmp_path):
    size = [HEIGHT, WIDTH]
    one = masks_of(tmp_path, segmentation=lambda n: [{"size": size, "counts": counts(n)}])
    assert_right(one)

    def halves(number):
        mask = square(number)
        rows = np.arange(HEIGHT)[:, None] < CORNERS[number][1] + 5
        return [rle.encode(mask & rows), rle.encode(mask & ~rows)]

    assert_right(masks_of(tmp_path, segmentation=halves))


@pytest.mark.parametrize("form", [counts, compressed, lambda n: [float(c) for c in counts(n)]])
def test_c02b_c02c_rle_uncompressed_and_compressed(tmp_path, form):
    size = [HEIGHT, WIDTH]
    assert_right(masks_of(tmp_path, segmentation=lambda n: {"size": size, "counts": form(n)}))


def test_c03_rle_start_length(tmp_path):
    def pairs(number):
        runs = counts(number)
        return np.stack([np.cumsum(runs)[:-1:2] + 1, runs[1::2]], axis=1).ravel().tolist()

    place = masks_of(tmp_path, segmentation=lambda n: {"size": [HEIGHT, WIDTH], "counts": pairs(n)})
    total = sum(pairs(0))
    assert_refused(place, r"annotation 1: found an RLE of \d+ pixels in all, expected the 3072")
    assert total != HEIGHT * WIDTH
    assert len(found_problems(place)) == len(NAMES)


def test_c03b_rle_size_swapped(tmp_path):
    def turned(number):
        return {"size": [WIDTH, HEIGHT], "counts": rle.encode(square(number).T)["counts"]}

    place = masks_of(tmp_path, segmentation=turned)
    assert_refused(place, r"annotation 1: found an RLE of size \[64, 48\], which is \[width, hei")


def test_c03c_rle_other_size(tmp_path):
    place = masks_of(
        tmp_path, segmentation=lambda n: rle.encode(np.kron(square(n), np.ones((2, 2), bool)))
    )
    assert_refused(place, "annotation 1: found a mask of 128x96 pixels, expected the image's 64x48")


def test_c03d_rle_one_of_13(tmp_path):
    def spoil(contents):
        contents["annotations"][6]["segmentation"] = {"size": [HEIGHT, WIDTH], "counts": [5, 5]}

    place = coco(tmp_path, spoil)
    assert_refused(place, "annotation 7: found an RLE of 10 pixels in all")
    assert len(found_problems(place)) == 1


def test_c03f_rle_string_cut(tmp_path):
    for cut in (1, 2, 3):
        place = masks_of(
            tmp_path,
            segmentation=lambda n, cut=cut: {
                "size": [HEIGHT, WIDTH],
                "counts": compressed(n)[:-cut],
            },
        )
        assert_refused(place, "annotation 1: found an RLE")


def test_rle_bytes_written_as_text(tmp_path):
    place = masks_of(
        tmp_path,
        segmentation=lambda n: {
            "size": [HEIGHT, WIDTH],
            "counts": repr(compressed(n).encode()),
        },
    )
    assert_refused(place, "counts are Python's text for bytes.*counts.decode")


@pytest.mark.parametrize("empty", [[], [[]], None])
def test_c04_empty_some(tmp_path, empty):
    def spoil(contents):
        contents["annotations"][2]["segmentation"] = empty

    place = coco(tmp_path, spoil)
    assert found_problems(place) == ["annotation 3 has no mask: left out."]
    assert [len(r["annotations"]) for r in load(place)] == [3, 4, 4]


def test_c04b_empty_all(tmp_path):
    place = masks_of(tmp_path, segmentation=[])
    message = "none of 12 annotations has a mask .*boxes alone cannot train masks"
    assert_refused(place, message)
    assert cli.run(check_dataset.main, ["--data", str(place)]) == 1


def test_c05_dup_annotation_ids(tmp_path):
    assert_right(masks_of(tmp_path, id=0))


def test_c05b_dup_image_ids(tmp_path):
    def spoil(contents):
        contents["images"][2]["id"] = 1

    assert_refused(coco(tmp_path, spoil), r"found 1 image id\(s\) more than once \(1\)")


def test_c06_category_string(tmp_path):
    assert_right(masks_of(tmp_path, category_id="1"))
    assert_refused(masks_of(tmp_path, category_id="leaf"), 'found category_id "leaf", expected a')


@pytest.mark.parametrize("flag", ["0", False, None])
def test_c06c_iscrowd_string(tmp_path, flag):
    assert_right(masks_of(tmp_path, iscrowd=flag))
    assert all(a["iscrowd"] == 0 for r in load(masks_of(tmp_path)) for a in r["annotations"])
    assert_refused(masks_of(tmp_path, iscrowd="no"), 'found iscrowd "no", expected 0 or 1')


def test_c06d_image_id_string(tmp_path):
    def spoil(contents):
        for entry in contents["annotations"]:
            entry["image_id"] = str(entry["image_id"])

    assert_right(coco(tmp_path, spoil))


def test_image_ids_may_be_names(tmp_path):
    def spoil(contents):
        for entry in contents["images"]:
            entry["id"] = f"image {entry['id']}"
        for entry in contents["annotations"]:
            entry["image_id"] = f"image {entry['image_id']}"

    assert_right(coco(tmp_path, spoil))


def test_c07_all_crowd(tmp_path, capsys):
    place = masks_of(tmp_path, iscrowd=1)
    assert_refused(place, "all 12 annotations are crowds")
    assert cli.run(check_dataset.main, ["--data", str(place)]) == 1
    assert "all 12 annotations are crowds" in capsys.readouterr().out


@pytest.mark.parametrize("value", [0, None, -4, "tall", [48], True])
def test_c08_c08b_size_zero_and_null(tmp_path, value):
    place = images_of(tmp_path, height=value, width=value)
    assert_refused(place, r"images\[0\]: found height .*, expected the image's size in pixels")


def test_c08c_size_string(tmp_path):
    assert_right(images_of(tmp_path, height="48", width="64"))


def test_c08d_size_missing(tmp_path):
    def spoil(contents):
        for entry in contents["images"]:
            del entry["height"], entry["width"]

    assert_refused(coco(tmp_path, spoil), r"images\[0\] has no height, width")


def test_c11_outside(tmp_path, capsys):
    outside = [100.0, 100.0, 120.0, 100.0, 120.0, 120.0, 100.0, 120.0]

    def spoil(contents):
        contents["annotations"][0]["segmentation"] = [[-20, -10, 30, -10, 30, 20, -20, 20]]
        contents["annotations"][1]["segmentation"] = [outside]

    place = coco(tmp_path, spoil)
    found = label_map_from_dict(load(place)[0])
    clipped = np.zeros((HEIGHT, WIDTH), bool)
    clipped[:20, :30] = True
    np.testing.assert_array_equal(found == found[0, 0], clipped)
    assert check_dataset.main(["--data", str(place)]) == 1
    assert "annotation 2: found a mask without a pixel" in capsys.readouterr().out


@pytest.mark.parametrize("far", [1e9, 1e300, float("nan"), float("inf")])
def test_points_that_pycocotools_would_not_survive(tmp_path, far):
    place = masks_of(tmp_path, segmentation=[[1.0, 1.0, far, 1.0, far, 9.0]])
    assert_refused(place, "annotation 1: found a polygon with points far outside of the image")


def test_c12_backslash(tmp_path):
    (tmp_path / "images").mkdir()
    assert_right(images_of(tmp_path, file_name=lambda n: rf"images\a{n}.png"))
    assert_right(images_of(tmp_path, file_name=lambda n: rf"other\a{n}.png"))


def test_c12b_absolute_windows(tmp_path):
    assert_right(images_of(tmp_path, file_name=lambda n: rf"C:\Users\me\data\a{n}.png"))
    assert_right(images_of(tmp_path, file_name=lambda n: f"/home/me/data/a{n}.png"))


def test_names_that_only_lost_folders_tell_apart(tmp_path):
    place = images_of(tmp_path, file_name=lambda n: rf"C:\{n}\a0.png")
    assert_refused(place, r"which would both be .*a0\.png")


@pytest.mark.parametrize("name", ["../secret.png", "sub/../../secret.png", "{}/secret.png"])
def test_names_outside_of_the_image_folder(tmp_path, name):
    Image.fromarray(picture()).save(tmp_path / "secret.png")

    def spoil(contents):
        contents["images"][1]["file_name"] = name.format(tmp_path)

    place = coco(tmp_path, spoil)
    (tmp_path / "images" / "sub").mkdir()
    assert_refused(place, r"image 2: found file_name .*secret\.png', which is not in .*--allow-out")
    records = load(place, reading=OUTSIDE)
    assert records[1]["file_name"].endswith("secret.png")


def test_c14_no_annotation_id(tmp_path):
    def spoil(contents):
        for entry in contents["annotations"]:
            del entry["id"]

    assert_refused(coco(tmp_path, spoil), r"annotations\[0\] has no id")


@pytest.mark.parametrize("box", ["none", None, []])
def test_c14b_c14c_no_bbox_and_empty_bbox(tmp_path, box):
    def spoil(contents):
        for entry in contents["annotations"]:
            entry["bbox"] = box
            if box == "none":
                del entry["bbox"]

    place = coco(tmp_path, spoil)
    assert_right(place)
    boxes = [a["bbox"] for a in load(place)[0]["annotations"]]
    assert boxes == [[*corner, *SIDES] for corner in CORNERS]
    assert check_dataset.main(["--data", str(place)]) == 0


@pytest.mark.parametrize("box", [[1, 2, 3], "box", {"x": 1}, [1, 2, None, 4], [[1], 2, 3, 4]])
def test_boxes_that_are_none_are_named(tmp_path, box):
    place = masks_of(tmp_path, bbox=box)
    assert_refused(place, r"annotations\[0\] \(annotation 1\): found bbox .*, expected \[x, y")


def test_c15_two_points(tmp_path):
    place = masks_of(
        tmp_path, segmentation=lambda n: [[1.0, 1.0, 4.0, 4.0]] if n == 0 else [polygon(n)]
    )
    assert [len(r["annotations"]) for r in load(place)] == [3, 3, 3]
    assert "annotation 1 has no mask: left out." in found_problems(place)
