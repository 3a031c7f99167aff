"""Places for results: made, or refused with the path."""

from __future__ import annotations

import errno

import numpy as np
import pytest
from PIL import Image

from recseg_d2.errors import UserError
from recseg_d2.files import (
    make_folder,
    make_place,
    moved_when_whole,
    part_of,
    read_json,
    save_image,
    save_scores,
    write_whole,
)


def test_folders_are_made_and_may_be_there(tmp_path):
    assert make_folder(tmp_path / "a" / "b").is_dir()
    assert make_place(tmp_path / "a" / "b" / "x.json").parent.is_dir()


def test_a_file_in_the_way_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match=r"Cannot make the folder .*file"):
            make_folder(path)
    with pytest.raises(UserError, match="it is a folder"):
        make_place(tmp_path)


def test_a_folder_without_the_right_to_write_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(UserError, match="Cannot write into"):
        make_folder(tmp_path)


def test_json_that_cannot_be_read_is_named_with_what_was_expected(tmp_path):
    path = tmp_path / "scores.json"
    with pytest.raises(UserError, match=r"scores.json: cannot be read \(No such.*expected scores"):
        read_json(path, "scores")
    path.write_text("{")
    with pytest.raises(UserError, match=r"\(is no JSON: .*\); expected scores\."):
        read_json(path, "scores")
    save_scores(path, {"a": [1, float("nan")]})
    assert read_json(path, "scores") == {"a": [1, None]}


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_images_are_written_in_the_format_of_their_name(tmp_path):
    pixels = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    for name, kind in (("a.png", "PNG"), ("b.tif", "TIFF"), ("c.BMP", "BMP"), ("d.jpg", "JPEG")):
        save_image(tmp_path / "new" / name, Image.fromarray(pixels))
        with Image.open(tmp_path / "new" / name) as image:
            assert image.format == kind
            if kind != "JPEG":
                np.testing.assert_array_equal(np.asarray(image), pixels)
    assert names(tmp_path / "new") == ["a.png", "b.tif", "c.BMP", "d.jpg"]


@pytest.mark.parametrize("durable", [True, False])
def test_a_writer_that_breaks_off_leaves_what_was_there(tmp_path, durable):
    path = tmp_path / "scores.json"
    path.write_text("before")
    full = OSError(errno.ENOSPC, "No space left on device")

    def write_half(error):
        with write_whole(path, durable=durable) as file:
            file.write("half")
            raise error

    with pytest.raises(RuntimeError):
        write_half(RuntimeError())
    with pytest.raises(UserError, match=r"No space left.*what was there before is unchanged"):
        write_half(full)
    assert path.read_text() == "before"
    assert names(tmp_path) == ["scores.json"]


def test_the_files_of_others_are_moved_when_all_are_there(tmp_path):
    (tmp_path / "a.json").write_text("before")
    (tmp_path / "kept").write_text("of something else")
    with moved_when_whole(tmp_path) as part:
        (part / "a.json").write_text("after")
        (part / "b.json").write_text("new")
        assert (tmp_path / "a.json").read_text() == "before"
    assert names(tmp_path) == ["a.json", "b.json", "kept"]
    assert (tmp_path / "a.json").read_text() == "after"

    def write_half():
        with moved_when_whole(tmp_path) as part:
            (part / "a.json").write_text("half")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        write_half()
    assert names(tmp_path) == ["a.json", "b.json", "kept"]
    assert (tmp_path / "a.json").read_text() == "after"


def test_processes_of_a_job_write_the_same_file_at_once(tmp_path, monkeypatch):
    """Each under a name of its own until it is complete; the last one stays."""
    path, ranks = tmp_path / "a.txt", iter([0, 1])
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    monkeypatch.setattr("torch.distributed.get_rank", lambda: next(ranks))
    with write_whole(path) as first, write_whole(path) as second:
        first.write("first")
        second.write("second")
    assert names(tmp_path) == ["a.txt"]
    assert path.read_text() == "first"  # whose context ends last


def test_the_next_attempt_overwrites_what_a_killed_one_left(tmp_path):
    part_of(tmp_path / "a.txt").write_text("half")
    with write_whole(tmp_path / "a.txt") as file:
        file.write("whole")
    assert names(tmp_path) == ["a.txt"]
