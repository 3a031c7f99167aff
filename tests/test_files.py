"""Places for results: made, or refused with the path."""

from __future__ import annotations

import pytest

from recseg_d2.errors import UserError
from recseg_d2.files import make_folder, make_place, read_json, save_scores


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
