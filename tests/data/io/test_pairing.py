from __future__ import annotations

import logging

import pytest

from recseg_d2.data.io.pairing import find_label_maps, find_pairs, lossy_hint
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
    assert find_pairs(root / "i", root / "l") == [
        ("a", root / "i/a.tif", root / "l/a.png"),
        ("b", root / "i/b.JPG", root / "l/b.tiff"),
    ]


def test_suffixes_tell_files_of_one_folder_apart(touch):
    root = touch("f/p1_rgb.png", "f/p1_label.png", "f/p1_fg.png", "f/p2_rgb.png", "f/p2_label.png")
    pairs = find_pairs(root / "f", root / "f", "_rgb", "_label")
    assert [stem for stem, _, _ in pairs] == ["p1", "p2"]
    assert pairs[0][2] == root / "f/p1_label.png"


def test_long_lists_are_cut(touch, caplog):
    names = [f"l/{i}.png" for i in range(9)]
    root = touch("i/0.png", *names)
    with caplog.at_level(logging.WARNING, logger="recseg_d2"):
        find_pairs(root / "i", root / "l")
    assert "(8) are ignored: 1, 2, 3, 4, 5 ..." in caplog.text


def test_unusable_folders_are_refused(touch):
    root = touch("i/a.png", "i/a.jpg", "e/x.txt", "l/a.png")
    with pytest.raises(UserError, match="same stem"):
        find_pairs(root / "i", root / "l")
    with pytest.raises(UserError, match="found no image"):
        find_pairs(root / "e", root / "l")
    with pytest.raises(UserError, match="no such folder"):
        find_pairs(root / "gone", root / "l")


def test_a_lossy_file_is_no_label_map_and_is_pointed_out(touch):
    root = touch("i/a.png", "i/b.png", "l/a.jpg")
    assert [label for _, _, label in find_pairs(root / "i", root / "l")] == [None, None]
    assert lossy_hint(root / "l" / "a.png").startswith(" a.jpg is of a lossy format")
    assert lossy_hint(root / "l" / "b.png") == ""


def test_label_maps_are_sorted_by_name_without_the_ending(touch):
    folder = touch("f/b_label.png", "f/a.tif", "f/c.PNG", "f/notes.txt") / "f"
    assert {k: p.name for k, p in find_label_maps(folder).items()} == {
        "a": "a.tif",
        "b": "b_label.png",
        "c": "c.PNG",
    }


def test_other_files_of_a_marked_image_are_passed_over(touch):
    names = ["p1_label.png", "p1.png", "p1_rgb.png", "p1_fg.png", "p10.png", "q_fg.png"]
    found = find_label_maps(touch(*(f"f/{name}" for name in names)) / "f")
    assert sorted(p.name for p in found.values()) == ["p10.png", "p1_label.png", "q_fg.png"]
