from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from recseg_d2.data.io.label_maps import read_label_map, stored_value, write_label_map
from recseg_d2.errors import UserError

LABELS = np.array([[0, 1, 1], [0, 0, 7]])


@pytest.mark.parametrize(("top", "mode"), [(255, "L"), (256, "I;16"), (65535, "I;16")])
@pytest.mark.parametrize("ending", [".png", ".tif"])
def test_written_labels_come_back(tmp_path, top, mode, ending):
    labels = LABELS.copy()
    labels[0, 0] = top
    path = tmp_path / f"a{ending}"
    write_label_map(path, labels)
    back = read_label_map(path)
    assert back.dtype == np.int32
    np.testing.assert_array_equal(back, labels)
    with Image.open(path) as image:
        assert image.mode == mode


def test_a_bool_mask_and_an_empty_map_are_label_maps(tmp_path):
    write_label_map(tmp_path / "m.png", LABELS > 0)
    np.testing.assert_array_equal(read_label_map(tmp_path / "m.png"), LABELS > 0)
    write_label_map(tmp_path / "e.png", np.zeros((4, 5), np.int64))
    assert not read_label_map(tmp_path / "e.png").any()


def test_palette_index_is_the_label_whatever_its_colour(tmp_path):
    image = Image.fromarray(LABELS.astype(np.uint8))
    image.putpalette([9, 9, 9, 200, 0, 0] + [0] * 3 * 254)
    image.save(tmp_path / "p.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "p.png"), LABELS)


def test_colours_become_labels_in_the_order_of_their_code(tmp_path):
    colours = np.zeros((2, 3, 3), np.uint8)
    colours[0, 0] = (200, 0, 0)
    colours[1, 2] = (0, 200, 1)
    Image.fromarray(colours).save(tmp_path / "c.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "c.png"), [[2, 0, 0], [0, 0, 1]])


def test_colours_without_black_all_count_as_objects(tmp_path):
    colours = np.full((1, 2, 3), (10, 20, 30), np.uint8)
    colours[0, 1] = (10, 20, 31)
    Image.fromarray(colours).save(tmp_path / "c.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "c.png"), [[1, 2]])


def test_transparent_pixels_are_background(tmp_path):
    rgba = np.full((1, 2, 4), (250, 0, 0, 255), np.uint8)
    rgba[0, 1] = (255, 255, 255, 0)
    Image.fromarray(rgba).save(tmp_path / "c.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "c.png"), [[1, 0]])


def test_grey_stored_as_rgb_keeps_its_values(tmp_path):
    grey = np.repeat(LABELS.astype(np.uint8)[..., None], 3, axis=2)
    Image.fromarray(grey).save(tmp_path / "g.png")
    np.testing.assert_array_equal(read_label_map(tmp_path / "g.png"), LABELS)


def test_labels_above_16_bits_are_read_from_tiff(tmp_path):
    Image.fromarray(np.array([[0, 100_000]], np.int32)).save(tmp_path / "l.tif")
    np.testing.assert_array_equal(read_label_map(tmp_path / "l.tif"), [[0, 100_000]])


def test_one_bit_files_and_fractions_are_refused(tmp_path):
    Image.fromarray(LABELS > 0).save(tmp_path / "b.png")
    with pytest.raises(UserError, match=r"b\.png: found pixel type '1', expected a label map"):
        read_label_map(tmp_path / "b.png")
    Image.fromarray(LABELS.astype(np.float32) / 2).save(tmp_path / "f.tif")
    with pytest.raises(UserError, match=r"f\.tif: found fractions \(float32\)"):
        read_label_map(tmp_path / "f.tif")


@pytest.mark.parametrize(
    "dtype", ["int8", "int16", "int64", "uint32", "uint64", "float32", "float64"]
)
def test_whole_numbers_of_every_type_are_labels(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", LABELS.astype(dtype))
    np.save(tmp_path / "a.npy", LABELS.astype(dtype))
    for name in ("a.tif", "a.npy"):
        np.testing.assert_array_equal(read_label_map(tmp_path / name), LABELS)


def test_values_that_are_background_too(tmp_path):
    write_label_map(tmp_path / "a.png", LABELS)
    found = read_label_map(tmp_path / "a.png", background=(1, 9))
    np.testing.assert_array_equal(found, np.where(LABELS == 1, 0, LABELS))
    assert stored_value(tmp_path / "a.png", 7) == "7"
    colours = np.full((2, 3, 3), 255, np.uint8)
    colours[0, 0] = (200, 0, 0)
    Image.fromarray(colours).save(tmp_path / "c.png")
    assert stored_value(tmp_path / "c.png", 2) == "0xffffff"
    found = read_label_map(tmp_path / "c.png", background=(0xFFFFFF,))
    np.testing.assert_array_equal(found, [[1, 0, 0], [0, 0, 0]])


def test_several_pages_and_negative_labels_are_refused(tmp_path):
    page = Image.fromarray(LABELS.astype(np.uint8))
    page.save(tmp_path / "s.tif", save_all=True, append_images=[page])
    with pytest.raises(UserError, match="found 2 pages"):
        read_label_map(tmp_path / "s.tif")
    Image.fromarray(np.array([[-1, 2]], np.int32)).save(tmp_path / "n.tif")
    with pytest.raises(UserError, match="labels from -1 to 2"):
        read_label_map(tmp_path / "n.tif")


def test_missing_truncated_and_foreign_files_are_refused_by_name(tmp_path):
    with pytest.raises(UserError, match=r"none\.png: no such file"):
        read_label_map(tmp_path / "none.png")
    labels = np.random.default_rng(0).integers(0, 255, (64, 64))
    write_label_map(tmp_path / "t.png", labels)
    whole = (tmp_path / "t.png").read_bytes()
    (tmp_path / "t.png").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "x.png").write_text("no image")
    for name in ("t.png", "x.png"):
        with pytest.raises(UserError, match=rf"{name}: cannot be read as an image"):
            read_label_map(tmp_path / name)


def test_what_cannot_be_written_is_refused(tmp_path):
    with pytest.raises(UserError, match="labels from 0 to 65536 do not fit"):
        write_label_map(tmp_path / "a.png", np.array([[0, 65536]]))
    with pytest.raises(UserError, match="labels from -1"):
        write_label_map(tmp_path / "a.png", np.array([[-1, 1]]))
    with pytest.raises(UserError, match="lossless"):
        write_label_map(tmp_path / "a.jpg", LABELS)
    with pytest.raises(ValueError, match="float64"):
        write_label_map(tmp_path / "a.png", LABELS.astype(float))
    assert not list(tmp_path.iterdir())
