"""Options to config nodes and back, and what is refused on the way, by its key."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest
from detectron2.config import CfgNode

from recseg_d2.config.nodes import add_options, build_options, naming_keys, walk_options
from recseg_d2.errors import OptionError, UserError, require


@dataclass(frozen=True)
class Inner:
    share: float = 0.5  # of something
    pools: tuple[tuple[int, ...], ...] = ((1, 2), (3,))

    def __post_init__(self) -> None:
        require(0 <= self.share <= 1, self, "share", "0 to 1")


@dataclass(frozen=True)
class Outer:
    mode: Literal["one", "two"] = "one"
    size: tuple[int, int] = (3, 4)
    names: tuple[str, ...] = ()
    phases: tuple[dict[str, Any], ...] = ()
    inner: Inner = field(default_factory=lambda: Inner(share=0.25))
    enabled: bool = True

    def __post_init__(self) -> None:
        require(self.enabled or self.inner.share == 0, self.inner, "share", "0 where disabled")


@pytest.fixture
def node():
    node = CfgNode({"OTHER": 1})
    add_options(node, Outer())
    return node


def build(node):
    return build_options(Outer, node, "MODEL.OUTER")


def test_a_key_for_each_field_and_a_node_for_each_dataclass(node):
    assert node == {
        "OTHER": 1,
        "MODE": "one",
        "SIZE": (3, 4),
        "NAMES": (),
        "PHASES": (),
        "INNER": {"SHARE": 0.25, "POOLS": ((1, 2), (3,))},
        "ENABLED": True,
    }


def test_what_was_put_in_comes_out(node):
    assert build(node) == Outer()


def test_files_have_lists_and_whole_numbers(node):
    text = "MODE: two\nSIZE: [5, 6]\nNAMES: [a]\nPHASES: [{NAME: b}]\nINNER: {POOLS: [[1], [2, 3]]}"
    node.merge_from_other_cfg(CfgNode.load_cfg(text))
    node.INNER.SHARE = 1
    built = build(node)
    assert built == Outer("two", (5, 6), ("a",), ({"NAME": "b"},), Inner(1.0, ((1,), (2, 3))))
    assert isinstance(built.inner.share, float)
    assert hash(built.inner)  # tuples all the way down


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("MODE", "three", r"MODEL\.OUTER\.MODE is 'three'; expected one of one, two"),
        ("SIZE", (1,), r"MODEL\.OUTER\.SIZE is \(1,\); expected 2 values"),
        ("SIZE", (1, 2.5), r"MODEL\.OUTER\.SIZE: found 2\.5; expected int"),
        ("SIZE", (1, True), r"MODEL\.OUTER\.SIZE: found True; expected int"),
        ("NAMES", "a", r"MODEL\.OUTER\.NAMES: found 'a'; expected a list"),
        ("ENABLED", 1, r"MODEL\.OUTER\.ENABLED: found 1; expected bool"),
        ("INNER.SHARE", 1.5, r"MODEL\.OUTER\.INNER\.SHARE is 1\.5; expected 0 to 1"),
        ("INNER.SHARE", "much", r"MODEL\.OUTER\.INNER\.SHARE: found 'much'; expected float"),
        ("INNER.POOLS", ((1,), 2), r"MODEL\.OUTER\.INNER\.POOLS: found 2; expected a list"),
        ("ENABLED", False, r"MODEL\.OUTER\.INNER\.SHARE is 0\.25; expected 0 where disabled"),
    ],
)
def test_wrong_values_are_refused_by_their_key(node, key, value, message):
    *parents, name = key.split(".")
    place = node
    for parent in parents:
        place = place[parent]
    place[name] = value
    with pytest.raises(UserError, match=message):
        build(node)


def test_the_arithmetic_names_the_option_and_its_user_the_key():
    with pytest.raises(OptionError, match=r"^share is 2; expected 0 to 1\.$"):
        Inner(share=2)
    message = r"^MODEL\.OUTER\.INNER\.SHARE is 2; expected"
    with pytest.raises(UserError, match=message), naming_keys({"MODEL.OUTER": Outer}):
        Inner(share=2)
    with pytest.raises(UserError, match=r"^SHARE is 2"), naming_keys({}):
        Inner(share=2)


def test_walking_visits_each_dataclass_with_its_own_fields():
    found = [(k, key, [f.name for f in own]) for k, key, own in walk_options(Outer, "A")]
    assert found == [
        (Outer, "A", ["mode", "size", "names", "phases", "enabled"]),
        (Inner, "A.INNER", ["share", "pools"]),
    ]
