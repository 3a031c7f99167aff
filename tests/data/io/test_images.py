from __future__ import annotations

import numpy as np
import pytest
from detectron2.data.detection_utils import read_image as detectron2_read
from PIL import Image

from recseg_d2.data.io.images import probe_image, read_bgr, read_image
from recseg_d2.errors import UserError


@pytest.mark.parametrize("shape", [(5, 9), (5, 9, 3), (5, 9, 4)])
def test_size_of_grey_colour_and_transparent_images(tmp_path, shape):
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "a.png")
    assert probe_image(tmp_path / "a.png").size == (5, 9)


def test_size_follows_the_camera_orientation(tmp_path):
    image = Image.fromarray(np.zeros((5, 9, 3), np.uint8))
    exif = image.getexif()
    exif[274] = 6  # turned by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif)
    assert probe_image(tmp_path / "a.jpg").size == (9, 5)
    assert detectron2_read(str(tmp_path / "a.jpg"), "BGR").shape == (9, 5, 3)


def test_truncated_image_is_found_by_decoding(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    assert probe_image(path, decode=False).size == (64, 64)
    with pytest.raises(UserError, match=r"a\.jpg: cannot be read as an image.*truncated"):
        probe_image(path)


def test_missing_foreign_and_deep_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.png: no such file"):
        probe_image(tmp_path / "none.png")
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(UserError, match=r"x\.png: cannot be read as an image \(it is of no format"):
        probe_image(tmp_path / "x.png")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "d.png")
    assert probe_image(tmp_path / "d.png").dtype == np.uint16
    with pytest.raises(UserError, match="found pixels of type uint16, expected 8 bits"):
        read_bgr(tmp_path / "d.png")


def test_whatever_the_path_manager_opens(tmp_path):
    assert probe_image("synthetic://rosettes/40/3.png").size == (40, 40)
    assert read_bgr("synthetic://rosettes/40/3.png").shape == (40, 40, 3)
    with pytest.raises(UserError, match=r"^synthetic://rosettes/x\.png: no such file"):
        probe_image("synthetic://rosettes/x.png")


def test_a_decompression_bomb_is_refused(tmp_path, monkeypatch):
    Image.new("L", (40, 40)).save(tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    for read in (probe_image, read_image, read_bgr):
        with pytest.raises(UserError, match=r"a\.png: has more than 200 pixels, the most"):
            read(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("dtype", "shape", "ending"),
    [
        (np.uint8, (4, 6), "png"),
        (np.uint8, (4, 6, 3), "png"),
        (np.uint16, (4, 6), "png"),
        (np.int32, (4, 6), "tif"),
        (np.float32, (4, 6), "tif"),
    ],
)
def test_images_are_read_as_they_are_stored(tmp_path, dtype, shape, ending):
    pixels = np.random.default_rng(0).integers(0, 200, shape).astype(dtype)
    Image.fromarray(pixels).save(tmp_path / f"a.{ending}")
    found = read_image(tmp_path / f"a.{ending}")
    assert found.dtype == dtype
    np.testing.assert_array_equal(found, pixels.reshape(4, 6, -1))


@pytest.mark.parametrize("channels", [1, 3])
def test_opacity_is_no_channel(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 200, (4, 6, channels + 1)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), pixels[..., :channels])
    assert probe_image(tmp_path / "a.png", decode=False).channels == channels


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK"])
def test_bgr_is_what_detectron2_reads(tmp_path, mode):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    path = tmp_path / "a.tif"
    Image.fromarray(pixels).convert(mode).save(path)
    np.testing.assert_array_equal(read_bgr(path), detectron2_read(str(path), "BGR"))


def test_pixels_follow_the_camera_orientation(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (4, 6, 3), dtype=np.uint8)
    for orientation in range(1, 9):
        image = Image.fromarray(pixels)
        exif = image.getexif()
        exif[274] = orientation
        path = tmp_path / f"{orientation}.png"
        image.save(path, exif=exif)
        found = read_bgr(path)
        assert probe_image(path).size == found.shape[:2]
        np.testing.assert_array_equal(found, detectron2_read(str(path), "BGR"))


def test_unreadable_files_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"gone\.png: no such file"):
        read_bgr(tmp_path / "gone.png")
    broken = tmp_path / "broken.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (40, 40, 3), np.uint8)).save(broken)
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(UserError, match=r"broken\.png: cannot be read"):
        read_bgr(broken)
    deep = tmp_path / "deep.png"
    Image.fromarray(np.full((4, 4), 1000, np.uint16)).save(deep)
    with pytest.raises(UserError, match=r"deep\.png: found pixels of type uint16"):
        read_bgr(deep)


def test_grey_alpha_and_palette_images_are_read(tmp_path):
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    for mode in ("L", "LA", "RGBA", "P"):
        path = tmp_path / f"{mode}.png"
        Image.fromarray(grey).convert(mode).save(path)
        assert (read_bgr(path) == grey[..., None]).all(), mode
