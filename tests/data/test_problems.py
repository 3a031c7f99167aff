from __future__ import annotations

import pytest

from recseg_d2.data.problems import Problem, read_all, survey_all
from recseg_d2.errors import UserError


def read(number):
    if number % 3 == 0:
        raise UserError(f"{number} is a multiple of three.")
    return {"number": number}


def test_reading_keeps_the_order_and_stops_at_the_first_bad_one():
    assert [r["number"] for r in read_all(read, [5, 4, 2, 1])] == [5, 4, 2, 1]
    with pytest.raises(UserError, match="6 is a multiple"):
        read_all(read, [5, 6, 9])


def test_a_survey_names_every_bad_one():
    records, problems = survey_all(read, [9, 5, 6, 4], lambda number: f"file {number}")
    assert [r["number"] for r in records] == [5, 4]
    assert problems == [
        Problem("file 9", "9 is a multiple of three."),
        Problem("file 6", "6 is a multiple of three."),
    ]


def test_other_errors_are_no_problems_of_the_data():
    with pytest.raises(ZeroDivisionError):
        survey_all(lambda number: {"number": 1 / number}, [1, 0], str)


def test_nothing_to_read():
    assert read_all(read, []) == []
    assert survey_all(read, [], str) == ([], [])


def test_the_file_is_named_once():
    error = UserError("b/a.png: cannot be read.")
    assert Problem.of("b/a.png", error) == Problem("b/a.png", "cannot be read.")
    assert Problem.of("b/c.jpg", error).message == "b/a.png: cannot be read."
