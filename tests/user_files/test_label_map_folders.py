"""Folders of images and label maps as people have them: read right, or said what is wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image
from user_files.small import (
    CORNERS,
    HEIGHT,
    NAMES,
    WIDTH,
    coco,
    found_problems,
    label_folder,
    label_map,
    load,
    picture,
    square,
)

from recseg_d2 import cli
from recseg_d2.cli import check_dataset
from recseg_d2.config import load_config
from recseg_d2.data.annotations import ignored_from_dict, label_map_from_dict
from recseg_d2.data.mapper import InstanceMapper
from recseg_d2.data.sources.forms import Reading
from recseg_d2.errors import UserError

COMPONENTS = Reading(components=True)


def as_type(dtype):
    return lambda path, labels: tifffile.imwrite(path.with_suffix(".tif"), labels.astype(dtype))


def assert_right(folder, **options):
    for record in load(folder, **options):
        assert len(record["annotations"]) == len(CORNERS)
        np.testing.assert_array_equal(label_map_from_dict(record) > 0, label_map() > 0)
    assert found_problems(folder, **options) == []


def check(folder, *options):
    return cli.run(check_dataset.main, ["--data", str(folder), *options])


def test_l01_binary_masks(tmp_path, capsys):
    folder = label_folder(tmp_path, 255 * (label_map() > 0).astype(np.uint8))
    (message,) = found_problems(folder)
    assert message.startswith("3 of 3 label maps have one value on several regions, such as a0.png")
    assert "on 4: binary masks?" in message
    assert "--components" in message
    assert len(load(folder)[0]["annotations"]) == 1
    assert check(folder) == 1
    assert "binary masks?" in capsys.readouterr().out
    assert_right(folder, reading=COMPONENTS)
    assert check(folder, "--components") == 0


def test_one_object_an_image_is_no_binary_mask(tmp_path):
    assert found_problems(label_folder(tmp_path, square(0).astype(np.uint8))) == []


@pytest.mark.parametrize(
    "dtype", ["int16", "int32", "int64", "uint32", "uint64", "float32", "float64"]
)
def test_l04_whole_numbers_of_all_types(tmp_path, dtype):
    assert_right(label_folder(tmp_path, save=as_type(dtype)))


def test_l04_bool(tmp_path):
    folder = label_folder(tmp_path, save=as_type(bool))
    with pytest.raises(UserError, match=r"a0\.tif: found pixel type '1', expected a label map"):
        load(folder)


def test_l03_npy_labels(tmp_path):
    assert_right(label_folder(tmp_path, save=np.save, ending=".npy"))


def test_l05_appledouble_and_l05b_dsstore(tmp_path):
    folder = label_folder(tmp_path)
    for part in ("images", "labels"):
        for name in ("._a0.png", ".DS_Store", "Thumbs.db"):
            (folder / part / name).write_bytes(b"\0\5\26\7 no image")
    assert_right(folder)


def blurred(image):
    """Made smaller and larger again with interpolation."""
    small = Image.fromarray(image).resize((WIDTH // 2, HEIGHT // 2), Image.Resampling.BILINEAR)
    return np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))


def colours():
    table = np.array([[0, 0, 0], [230, 25, 75], [60, 180, 75], [0, 130, 200], [245, 130, 48]], "u1")
    return table[label_map()]


def through_jpeg(path, image):
    Image.fromarray(image).save(path.with_suffix(".jpg"), quality=85)
    Image.open(path.with_suffix(".jpg")).save(path)
    path.with_suffix(".jpg").unlink()


@pytest.mark.parametrize("labels", [60 * label_map(), colours()], ids=["grey", "colour"])
@pytest.mark.parametrize("how", ["l06_l06b_antialiased", "jpeg"])
def test_labels_that_were_smoothed(tmp_path, labels, how):
    if how == "jpeg":
        folder = label_folder(tmp_path, labels, save=through_jpeg)
    else:
        folder = label_folder(tmp_path, blurred(labels))
    with pytest.raises(UserError, match=r"found \d+ labels, most of them narrow bands.*smoothing"):
        load(folder)
    assert len(found_problems(folder)) == len(NAMES)


def test_l07_white_background(tmp_path):
    labels = colours()
    labels[label_map() == 0] = 255
    folder = label_folder(tmp_path, labels)
    (message,) = found_problems(folder)
    assert "3 of 3 label maps have a value that surrounds the others where 0 should" in message
    assert "--background 0xffffff" in message
    assert_right(folder, reading=Reading(background=(0xFFFFFF,)))
    assert check(folder, "--background", "0xffffff") == 0


def test_l07b_background_one(tmp_path):
    folder = label_folder(tmp_path, label_map() + 1)
    (message,) = found_problems(folder)
    assert "such as a0.png 1, which is taken as an object" in message
    assert_right(folder, reading=Reading(background=(1,)))


def test_l07c_void_255_outline(tmp_path):
    labels = label_map()
    inner = labels > 0
    for axis in (0, 1):
        for step in (-1, 1):
            inner = inner & (np.roll(labels, step, axis) > 0)
    labels[(labels > 0) & ~inner] = 255
    folder = label_folder(tmp_path, labels)
    (message,) = found_problems(folder)
    assert "have a value that outlines the others, such as a0.png 255" in message
    found = load(folder, reading=Reading(background=(255,)))[0]
    np.testing.assert_array_equal(label_map_from_dict(found) > 0, inner)


def test_a_value_of_which_nothing_is_known(tmp_path):
    labels = label_map()
    unknown = np.zeros(labels.shape, bool)
    unknown[:, 40:] = True
    labels[unknown] = 255
    folder = label_folder(tmp_path, labels)
    for record in load(folder, reading=Reading(ignore=(255,))):
        np.testing.assert_array_equal(ignored_from_dict(record), unknown)
        np.testing.assert_array_equal(label_map_from_dict(record) > 0, (labels > 0) & ~unknown)
    whole = label_folder(tmp_path / "whole")
    assert ignored_from_dict(load(whole, reading=Reading(ignore=(255,)))[0]) is None


def test_l09_disconnected(tmp_path):
    labels = label_map()
    labels[labels == 4] = 1
    folder = label_folder(tmp_path, labels)
    (message,) = found_problems(folder)
    assert message.startswith("3 labels in 3 of 3 label maps are on regions far from each other")
    assert_right(folder, reading=COMPONENTS)


def test_l10_big_ids(tmp_path):
    big = np.where(label_map() > 0, label_map().astype(np.int32) + 100_000, 0)
    assert_right(label_folder(tmp_path, big, save=as_type(np.int32)))
    huge = np.where(label_map() > 0, 2**31 - 5 + label_map().astype(np.int64), 0)
    assert_right(label_folder(tmp_path / "huge", huge, save=as_type(np.int64)))


def test_l13b_multipage_label(tmp_path):
    folder = label_folder(
        tmp_path, save=lambda path, labels: as_type("u1")(path, np.stack([labels, labels]))
    )
    with pytest.raises(UserError, match=r"a0\.tif: found 2 pages, expected a label map: one page"):
        load(folder)


def test_l13_stacks_are_trained_on_by_the_page_that_is_chosen(tmp_path):
    folder = label_folder(tmp_path)
    for seed, name in enumerate(NAMES):
        (folder / "images" / f"{name}.png").unlink()
        pages = np.stack([picture(seed), picture(seed + 1)])
        tifffile.imwrite(folder / "images" / f"{name}.tif", pages, photometric="rgb")
    records = load(folder)
    assert [(r["height"], r["width"]) for r in records] == [(HEIGHT, WIDTH)] * 3
    data = ["INPUT.RESIZE", "scale", "INPUT.AUGS", (), "INPUT.FORMAT", "RGB", "MODEL.DEVICE", "cpu"]
    sample = InstanceMapper(load_config("", [*data, "INPUT.FRAMES.PAGE", 1]))(records[0])
    np.testing.assert_array_equal(sample["image"].permute(1, 2, 0), picture(1))
    with pytest.raises(UserError, match=r"a0\.tif: found 2 pages.*INPUT\.FRAMES\.PAGE"):
        InstanceMapper(load_config("", data))(records[0])


def test_l16_some_empty_and_l16b_all_empty(tmp_path, capsys):
    folder = label_folder(tmp_path)
    Image.new("L", (WIDTH, HEIGHT)).save(folder / "labels" / "a0.png")
    assert [len(r["annotations"]) for r in load(folder)] == [0, 4, 4]
    label_folder(folder, np.zeros((HEIGHT, WIDTH), np.uint8))
    with pytest.raises(UserError, match="none of 3 images is left; they have 0 to 0 objects"):
        load(folder, min_objects=1)
    assert check(folder) == 1
    assert "none of 3 annotated images has an object" in capsys.readouterr().out


def test_l17_sizes(tmp_path):
    for part in ("images", "labels"):
        (tmp_path / part).mkdir()
    for n, (height, width) in enumerate([(7, 300), (1, 1), (201, 3)]):
        Image.new("RGB", (width, height)).save(tmp_path / "images" / f"{n}.png")
        labels = np.zeros((height, width), np.uint8)
        labels[0, 0], labels[-1, -1] = 1, 2
        Image.fromarray(labels).save(tmp_path / "labels" / f"{n}.png")
    found = [(r["height"], r["width"], len(r["annotations"])) for r in load(tmp_path)]
    assert found == [(7, 300, 2), (1, 1, 1), (201, 3, 2)]


def test_l18_300_objects(tmp_path):
    labels = np.zeros((100, 100), np.uint16)
    labels[::5, ::5][:15, :20] = np.arange(1, 301).reshape(15, 20)
    labels = np.maximum.reduce(
        [np.roll(labels, (y, x), (0, 1)) for y in range(3) for x in range(3)]
    )
    folder = label_folder(tmp_path, labels)
    for name in NAMES:
        Image.new("RGB", (100, 100)).save(folder / "images" / f"{name}.png")
    assert [len(r["annotations"]) for r in load(folder)] == [300, 300, 300]


def test_l19_unicode(tmp_path):
    folder = label_folder(tmp_path / "Fotos äöü 葉")
    for part in ("images", "labels"):
        (folder / part / "a0.png").rename(folder / part / "Blatt ä 葉.PNG")
        (folder / part / "a1.png").rename(folder / part / "b 1.Png")
    assert_right(folder)


def test_l22_small_objects(tmp_path, capsys):
    labels = np.zeros((900, 900), np.uint8)
    for n in range(15):
        labels[30 + 50 * n : 33 + 50 * n, 40 * n : 40 * n + 3] = n + 1
    folder = label_folder(tmp_path, labels)
    for name in NAMES:
        Image.new("RGB", (900, 900)).save(folder / "images" / f"{name}.png")
    assert check(folder, "--image-size", "128", "128") == 1
    assert "45 of 45 objects are under 2 pixels at 128x128" in capsys.readouterr().out
    assert check(folder, "--image-size", "900", "900") == 0


def test_l23_same_stem(tmp_path):
    folder = label_folder(tmp_path)
    Image.fromarray(picture()).save(folder / "images" / "a0.bmp")
    with pytest.raises(UserError, match=r"a0\.png and a0\.bmp have the same stem"):
        load(folder)


def turned(path: Path) -> None:
    """Store an image sideways, with the camera's note that it is."""
    image = Image.fromarray(picture()).transpose(Image.Transpose.ROTATE_90)
    exif = image.getexif()
    exif[274] = 6
    image.save(path, exif=exif)


def test_l27_exif_label_raw_and_l27b_upright(tmp_path):
    folder = label_folder(tmp_path)
    for name in NAMES:
        (folder / "images" / f"{name}.png").unlink()
        turned(folder / "images" / f"{name}.jpg")
    assert_right(folder)
    label_folder(folder, label_map().T.copy())
    for name in NAMES:
        (folder / "images" / f"{name}.png").unlink()
    with pytest.raises(UserError, match=r"a0\.png: found 48x64 pixels, expected the 64x48 of"):
        load(folder)


def test_options_of_label_maps_are_refused_elsewhere(tmp_path):
    with pytest.raises(UserError, match=r"--components, --background, .* are for label"):
        load(coco(tmp_path), reading=COMPONENTS)
