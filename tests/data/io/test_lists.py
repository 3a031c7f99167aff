from __future__ import annotations

import pytest

from recseg_d2.data.io.lists import read_list, write_list
from recseg_d2.errors import UserError


def test_there_and_back(tmp_path):
    path = tmp_path / "new" / "list.txt"
    write_list(path, ["b", "a"])
    assert read_list(path, "") == ["b", "a"]
    assert read_list(path, "", str.upper) == ["B", "A"]


def test_only_the_first_word_of_a_line_counts(tmp_path):
    (tmp_path / "list.txt").write_text("2008_000001  1\n\n2008_000002 -1\n")
    assert read_list(tmp_path / "list.txt", "") == ["2008_000001", "2008_000002"]


def test_bad_lists_are_refused(tmp_path):
    path = tmp_path / "list.txt"
    with pytest.raises(UserError, match=r"list\.txt: no such list of images\. Make one\.$"):
        read_list(path, "Make one.")
    path.write_text("\n \n")
    with pytest.raises(UserError, match="found no image"):
        read_list(path, "")
    path.write_text("a\nb\na\n")
    with pytest.raises(UserError, match="found a 2 times"):
        read_list(path, "")
