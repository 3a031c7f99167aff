from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from recseg_d2.data.image_io import probe_image, read_bgr
from recseg_d2.errors import UserError


@pytest.mark.parametrize("shape", [(5, 9), (5, 9, 3), (5, 9, 4)])
def test_size_of_grey_colour_and_transparent_images(tmp_path, shape):
    Image.fromarray(np.zeros(shape, np.uint8)).save(tmp_path / "a.png")
    assert probe_image(tmp_path / "a.png") == (5, 9)


def test_size_follows_the_camera_orientation(tmp_path):
    from detectron2.data.detection_utils import read_image

    image = Image.fromarray(np.zeros((5, 9, 3), np.uint8))
    exif = image.getexif()
    exif[274] = 6  # turned by 90 degrees
    image.save(tmp_path / "a.jpg", exif=exif)
    assert probe_image(tmp_path / "a.jpg") == (9, 5)
    assert read_image(str(tmp_path / "a.jpg"), "BGR").shape == (9, 5, 3)


def test_truncated_image_is_found_by_decoding(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "a.jpg"
    Image.fromarray(pixels).save(path)
    path.write_bytes(path.read_bytes()[:1500])
    assert probe_image(path, decode=False) == (64, 64)
    with pytest.raises(UserError, match=r"a\.jpg: cannot be read as an image.*truncated"):
        probe_image(path)


def test_missing_foreign_and_deep_files_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"none\.png: no such image"):
        probe_image(tmp_path / "none.png")
    (tmp_path / "x.png").write_text("no image")
    with pytest.raises(UserError, match=r"x\.png: cannot be read"):
        probe_image(tmp_path / "x.png")
    Image.fromarray(np.zeros((4, 4), np.uint16)).save(tmp_path / "d.png")
    with pytest.raises(UserError, match="more than 8 bits"):
        probe_image(tmp_path / "d.png")


def test_content_that_is_in_no_file(tmp_path):
    buffer = io.BytesIO()
    Image.fromarray(np.zeros((5, 9, 3), np.uint8)).save(buffer, "PNG")
    buffer.seek(0)
    assert probe_image("archive://a.png", stream=buffer) == (5, 9)
    with pytest.raises(UserError, match=r"^archive://b\.png: cannot be read as an image"):
        probe_image("archive://b.png", stream=io.BytesIO(b"no image"))


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
    with pytest.raises(UserError, match=r"deep\.png: found pixels of type 'I;16'"):
        read_bgr(deep)


def test_grey_alpha_and_palette_images_are_read(tmp_path):
    grey = np.arange(16, dtype=np.uint8).reshape(4, 4)
    for mode in ("L", "LA", "RGBA", "P"):
        path = tmp_path / f"{mode}.png"
        Image.fromarray(grey).convert(mode).save(path)
        assert (read_bgr(path) == grey[..., None]).all(), mode
