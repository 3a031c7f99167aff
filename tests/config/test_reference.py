"""The page of all keys, and the comments that it is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest

from recseg_d2.config import NODES
from recseg_d2.config.nodes import walk_options
from recseg_d2.config.reference import field_comments, reference_page, type_name

PLACES = [place for key, kind in NODES.items() for place in walk_options(kind, key)]


@dataclass(frozen=True)
class Documented:
    """Nothing."""

    first: int = 1  # at the end
    # Above it,
    # in two lines.
    second: str = "# no comment"
    third: tuple[int, ...] = (
        1,  # inside
        2,
    )  # and behind
    fourth: float = 0.0

    # Not of a field.
    def method(self) -> None:
        pass


def test_comments_stand_behind_a_field_or_above_it():
    assert field_comments(Documented) == {
        "first": "at the end",
        "second": "Above it, in two lines.",
        "third": "inside and behind",
        "fourth": "",
    }


@pytest.mark.parametrize(
    ("hint", "name"),
    [
        (float, "float"),
        (Literal["a", 8], "a | 8"),
        (tuple[int, int], "(int, int)"),
        (tuple[tuple[bool, ...], ...], "((bool, ...), ...)"),
        (tuple[dict[str, Any], ...], "(dict, ...)"),
    ],
)
def test_types_in_words(hint, name):
    assert type_name(hint) == name


@pytest.mark.parametrize(("kind", "key", "fields"), PLACES, ids=[key for _, key, _ in PLACES])
def test_every_option_says_what_it_means(kind, key, fields):
    meanings = field_comments(kind)
    assert [f.name for f in fields if not meanings[f.name]] == []
    assert kind.__doc__
    assert not kind.__doc__.startswith(kind.__name__)  # what dataclasses make up themselves


def test_no_class_of_options_stands_at_two_keys():
    kinds = [kind for kind, _, _ in PLACES]
    assert len(set(kinds)) == len(kinds)


def test_the_page_is_up_to_date(root):
    assert (root / "docs" / "configs.md").read_text() == reference_page(), "run `make docs`"
