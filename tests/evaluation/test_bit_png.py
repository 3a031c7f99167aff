from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from recseg_d2.evaluation.bit_png import read_bitmap, write_bitmap


def random_mask(seed: int, width: int) -> np.ndarray:
    """Some rectangles and some noise."""
    rng = np.random.default_rng(seed)
    mask = rng.random((7, width)) < rng.choice([0.0, 0.0, 0.3])
    mask[2:5, : width // 2] = True
    return mask


def unpacked(found: tuple[int, np.ndarray] | None) -> np.ndarray:
    assert found is not None
    width, rows = found
    return np.unpackbits(rows, axis=1)[:, :width].astype(bool)


@given(st.integers(0, 100), st.integers(1, 40))
def test_written_and_read_back_by_both(tmp_path_factory, seed, width):
    path = tmp_path_factory.mktemp("bits") / "mask.png"
    mask = random_mask(seed, width)
    write_bitmap(path, mask)
    assert np.array_equal(unpacked(read_bitmap(path)), mask)
    with Image.open(path) as image:
        image.verify()
    with Image.open(path) as image:
        assert image.mode == "1"
        assert np.array_equal(np.asarray(image), mask)


@pytest.mark.parametrize("seed", range(10))
def test_filtered_rows_of_pillow(tmp_path, seed):
    mask = np.kron(random_mask(seed, 60), np.ones((9, 9))).astype(bool)
    mask[10:30, 7:400:3] ^= True
    Image.fromarray(mask).save(tmp_path / "mask.png")
    found = read_bitmap(tmp_path / "mask.png")
    assert found is None or np.array_equal(unpacked(found), mask)


def test_plain_masks_of_pillow_are_read(tmp_path):
    mask = np.zeros((200, 300), dtype=bool)
    mask[50:150, 100:200] = True
    Image.fromarray(mask).save(tmp_path / "mask.png")
    assert np.array_equal(unpacked(read_bitmap(tmp_path / "mask.png")), mask)


def test_other_images_and_damaged_files_are_left_to_others(tmp_path):
    mask = random_mask(1, 20)
    good = tmp_path / "good.png"
    write_bitmap(good, mask)
    data = good.read_bytes()
    files = {"cut.png": data[:-5], "broken.png": data[:45] + b"\xff" + data[46:], "text.png": b"no"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    Image.fromarray(mask.astype(np.uint8) * 255).save(tmp_path / "grey.png")
    Image.fromarray(mask).save(tmp_path / "transparent.png", transparency=0)
    text = PngImagePlugin.PngInfo()
    text.add_text("Comment", "more than a mask")
    Image.fromarray(mask).save(tmp_path / "comment.png", pnginfo=text)
    for name in (*files, "grey.png", "transparent.png", "comment.png"):
        assert read_bitmap(tmp_path / name) is None, name


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_bitmap(tmp_path / "nope.png")
