"""What is wrong with data is said before the first iteration, of training and validation data."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from PIL import Image
from user_files.small import NAMES, coco, label_folder, label_map, picture

from recseg_d2 import cli
from recseg_d2.cli import check_dataset, train
from recseg_d2.cli.own_data import FOLDER_TRAIN, FOLDER_VAL
from recseg_d2.data import image_check
from recseg_d2.data.catalog import unregister
from recseg_d2.data.image_check import ImageChecker, cache_folder

TINY = [
    *("MODEL.DEVICE", "cpu", "TEST.NUM_PICTURES", "0", "SOLVER.MAX_ITER", "1"),
    *("SOLVER.IMS_PER_BATCH", "1", "MODEL.SEQUENTIAL.STEPS", "2"),
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", "(32,32)"),
    *("MODEL.SMALL_ENCODER.WIDTHS", "[4,6]", "MODEL.RSIS.HIDDEN_WIDTHS", "[6,4]"),
]


@pytest.fixture(autouse=True)
def clean_catalog():
    yield
    for name in (FOLDER_TRAIN, FOLDER_VAL):
        unregister(name)


@pytest.fixture
def good(tmp_path):
    return coco(tmp_path / "good")


@pytest.fixture
def run(tmp_path):
    def run(train_data, val_data, *options):
        data = ["--train-data", str(train_data), "--val-data", str(val_data)]
        keys = [*TINY, "OUTPUT_DIR", str(tmp_path / "out")]
        return cli.run(train.main, ["--config-file", "rsis_small.yaml", *data, *options, *keys])

    return run


def sideways(folder, names):
    """Store images as JPEG sideways, with the camera's note; the file has their stored size."""

    def spoil(contents):
        for entry in contents["images"]:
            if entry["file_name"].removesuffix(".png") in names:
                entry["file_name"] = entry["file_name"].replace(".png", ".jpg")
                entry["height"], entry["width"] = entry["width"], entry["height"]
        for entry in contents["annotations"]:
            x, y, w, h = entry["bbox"]
            if NAMES[entry["image_id"] - 1] in names:
                entry["bbox"] = [y, x, h, w]
                points = np.reshape(entry["segmentation"], (-1, 2))[:, ::-1]
                entry["segmentation"] = [points.ravel().tolist()]

    path = coco(folder, spoil)
    for name in names:
        image = Image.fromarray(picture()).transpose(Image.Transpose.ROTATE_90)
        exif = image.getexif()
        exif[274] = 6
        image.save(folder / "images" / f"{name}.jpg", exif=exif)
    return path


def cut_short(folder):
    """A data set of which the second image is half there."""

    def spoil(contents):
        contents["images"][1]["file_name"] = "a1.jpg"

    path, file = coco(folder, spoil), folder / "images" / "a1.jpg"
    Image.fromarray(picture()).save(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    return path


def test_good_data_is_trained_on(good, run, tmp_path):
    assert run(good, good) == 0
    assert (tmp_path / "out" / "model_final.pth").is_file()


@pytest.mark.parametrize("names", [NAMES, NAMES[:1]], ids=["c13_all", "c13b_one"])
@pytest.mark.parametrize("part", ["train", "val"])
def test_c13_exif_raw_size(good, run, tmp_path, capsys, names, part):
    bad = sideways(tmp_path / "bad", names)
    assert run(*((bad, good) if part == "train" else (good, bad))) == 2
    expected = "a0.jpg: found an image of 64x48 pixels, its dict says 48x64. If the camera's orient"
    error = capsys.readouterr().err
    assert expected in error
    assert f"error: folder_{part}: " in error
    assert not (tmp_path / "out" / "metrics.json").exists()
    assert check_dataset.main(["--data", str(bad)]) == 1
    assert expected in capsys.readouterr().out


def test_c13c_exif_upright(tmp_path):
    path = sideways(tmp_path, NAMES)
    contents = json.loads(path.read_text())
    upright = coco(tmp_path)
    names = [entry["file_name"] for entry in contents["images"]]
    contents = json.loads(upright.read_text())
    for entry, name in zip(contents["images"], names, strict=True):
        entry["file_name"] = name
    upright.write_text(json.dumps(contents))
    assert check_dataset.main(["--data", str(upright)]) == 0


@pytest.mark.parametrize("part", ["train", "val"])
def test_c17_truncated(good, run, tmp_path, capsys, part):
    bad = cut_short(tmp_path / "bad")
    assert run(*((bad, good) if part == "train" else (good, bad))) == 2
    assert "a1.jpg: cannot be read as an image (image file is truncated" in capsys.readouterr().err
    assert not (tmp_path / "out" / "metrics.json").exists()
    assert check_dataset.main(["--data", str(bad)]) == 1
    assert "a1.jpg: cannot be read as an image" in capsys.readouterr().out
    assert check_dataset.main(["--data", str(bad), "--no-decode"]) == 0


@pytest.mark.parametrize(
    ("key", "field", "value", "expected"),
    [
        ("annotations", "segmentation", [], "none of 12 annotations has a mask"),
        ("annotations", "iscrowd", 1, "all 12 annotations are crowds"),
        ("images", "width", None, "found width null, expected the image's size"),
        ("annotations", "bbox", "box", 'found bbox "box", expected [x, y, width, height]'),
        ("annotations", "segmentation", {"size": [48, 64], "counts": [5]}, "an RLE of 5 pixels"),
    ],
)
@pytest.mark.parametrize("part", ["train", "val"])
def test_c04b_c07_c08b_c14c_c03d(good, run, tmp_path, capsys, key, field, value, expected, part):
    def spoil(contents):
        for entry in contents[key]:
            entry[field] = value

    bad = coco(tmp_path / "bad", spoil)
    assert run(*((bad, good) if part == "train" else (good, bad))) == 2
    error = capsys.readouterr().err
    assert expected in error
    assert str(bad) in error


def test_c10_val_other_order(run, tmp_path, capsys):
    def name(*names):
        def spoil(contents):
            contents["categories"] = [{"id": n + 1, "name": x} for n, x in enumerate(names)]

        return spoil

    one = coco(tmp_path / "one", name("leaf", "stem"))
    two = coco(tmp_path / "two", name("stem", "leaf"))
    assert run(one, two, "MODEL.NUM_CLASSES", "2") == 2
    assert "found 'leaf' and 'stem' as class 0" in capsys.readouterr().err


def test_what_looks_wrong_is_logged_and_trained_on(run, tmp_path, capsys):
    binary = label_folder(tmp_path / "binary", 255 * (label_map() > 0).astype(np.uint8))
    assert run(binary, binary) == 0
    text = capsys.readouterr()
    assert "binary masks?" in text.out + text.err


@pytest.mark.parametrize("value", ["a0.tif"])
def test_l12_l26_deep_images_are_refused_before_training(run, tmp_path, capsys, value):
    folder = label_folder(tmp_path / "deep")
    (folder / "images" / "a0.png").unlink()
    Image.fromarray(picture().astype(np.uint16)[..., 0]).save(folder / "images" / value)
    assert run(folder, folder) == 2
    assert "a0.tif: found pixels of type uint16, expected 8 bits" in capsys.readouterr().err


@pytest.fixture
def decoded(monkeypatch):
    """The files that are decoded."""
    seen: list[str] = []
    probe = image_check.probe_image

    def count(path, decode, frames):
        if decode:
            seen.append(path)
        return probe(path, decode, frames)

    monkeypatch.setattr(image_check, "probe_image", count)
    return seen


def test_a_good_image_is_decoded_once(tmp_path, decoded):
    folder = label_folder(tmp_path / "data")
    paths = [str(folder / "images" / f"{name}.png") for name in NAMES]
    for _ in range(2):
        assert check_dataset.main(["--data", str(folder)]) == 0
    assert sorted(decoded) == paths
    assert (cache_folder() / image_check.FILE).is_file()
    Image.fromarray(picture(7)).save(paths[1])
    status = os.stat(paths[1])
    os.utime(paths[1], ns=(status.st_atime_ns, status.st_mtime_ns + 10))
    assert check_dataset.main(["--data", str(folder)]) == 0
    assert decoded[len(paths) :] == [paths[1]]


@pytest.mark.parametrize("content", [b"", b"[1]", b'{"a": 3}', b'{"a": [[1, 2], [3]]}', b"\xff"])
def test_a_memory_that_cannot_be_read_is_begun_anew(tmp_path, content):
    memory, image = tmp_path / "memory.json", tmp_path / "a.png"
    memory.write_bytes(content)
    Image.fromarray(picture()).save(image)
    checker = ImageChecker(memory=memory)
    assert checker(str(image)).size == picture().shape[:2]
    checker.remember()
    again = ImageChecker(memory=memory)
    assert again(str(image)) == checker(str(image))
    assert not again._new


def test_a_memory_that_cannot_be_written_is_no_harm(tmp_path):
    (tmp_path / "file").touch()
    Image.fromarray(picture()).save(tmp_path / "a.png")
    checker = ImageChecker(memory=tmp_path / "file" / "memory.json")
    assert checker(str(tmp_path / "a.png")).channels == 3
    checker.remember()
