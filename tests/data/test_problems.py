from __future__ import annotations

import pytest

from recseg_d2.data.problems import Problem, in_threads
from recseg_d2.errors import UserError


def test_items_keep_their_order():
    assert in_threads(lambda number: 2 * number, [5, 4, 2, 1]) == [10, 8, 4, 2]
    assert in_threads(str, []) == []


def test_errors_are_raised():
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda number: 1 / number, [1, 0])


def test_the_file_is_named_once():
    error = UserError("b/a.png: cannot be read.")
    assert Problem.of("b/a.png", error) == Problem("b/a.png", "cannot be read.")
    assert Problem.of("b/c.jpg", error).message == "b/a.png: cannot be read."
