from __future__ import annotations

import logging

import pytest

from recseg_d2.data.pairing import pair_files
from recseg_d2.errors import UserError


@pytest.fixture
def touch(tmp_path):
    def touch(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        return tmp_path

    return touch


def test_stems_match_whatever_the_endings_are(touch):
    root = touch("i/b.JPG", "i/a.tif", "i/notes.txt", "l/a.png", "l/b.tiff")
    assert pair_files(root / "i", root / "l") == [
        ("a", root / "i/a.tif", root / "l/a.png"),
        ("b", root / "i/b.JPG", root / "l/b.tiff"),
    ]


def test_suffixes_tell_files_of_one_folder_apart(touch):
    root = touch("f/p1_rgb.png", "f/p1_label.png", "f/p1_fg.png", "f/p2_rgb.png", "f/p2_label.png")
    pairs = pair_files(root / "f", root / "f", "_rgb", "_label")
    assert [stem for stem, _, _ in pairs] == ["p1", "p2"]
    assert pairs[0][2] == root / "f/p1_label.png"


def test_a_lossy_file_is_no_label_map(touch):
    root = touch("i/a.png", "l/a.jpg")
    with pytest.raises(UserError, match=r"1 of 1 images have no label map.*such as a;"):
        pair_files(root / "i", root / "l")


def test_labels_may_be_optional_but_not_half_there(touch):
    root = touch("f/p1_rgb.png", "f/p2_rgb.png")
    pairs = pair_files(root / "f", root / "f", "_rgb", "_label", labels_optional=True)
    assert [label for _, _, label in pairs] == [None, None]
    touch("f/p1_label.png")
    with pytest.raises(UserError, match="1 of 2 images have no label map"):
        pair_files(root / "f", root / "f", "_rgb", "_label", labels_optional=True)


def test_long_lists_are_cut(touch, caplog):
    names = [f"l/{i}.png" for i in range(9)]
    root = touch("i/0.png", *names)
    with caplog.at_level(logging.WARNING, logger="recseg_d2"):
        pair_files(root / "i", root / "l")
    assert "(8) are ignored: 1, 2, 3, 4, 5 ..." in caplog.text


def test_unusable_folders_are_refused(touch):
    root = touch("i/a.png", "i/a.jpg", "e/x.txt", "l/a.png")
    with pytest.raises(UserError, match="same stem"):
        pair_files(root / "i", root / "l")
    with pytest.raises(UserError, match="found no image"):
        pair_files(root / "e", root / "l")
    with pytest.raises(UserError, match="no such folder"):
        pair_files(root / "gone", root / "l")


def test_label_maps_in_a_lossy_format_are_pointed_out(touch):
    root = touch("i/a.png", "l/a.jpg")
    with pytest.raises(UserError, match=r"no label map.*a\.jpg is of a lossy format"):
        pair_files(root / "i", root / "l")
