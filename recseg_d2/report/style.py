"""The colours of the page: of runs, of kinds of predictions, of paper and ink."""

from __future__ import annotations

from collections.abc import Sequence

from recseg_d2.metrics.error_diagnosis import KINDS
from recseg_d2.visualization.palette import instance_colors

PAPER, INK, LINES = "#ffffff", "#2b2f33", "#e4e7ea"

# Okabe and Ito's, told apart by the colour-blind: what is right is green, what is wrong is warm.
KIND_COLORS = {
    "TP": "#009e73",
    "Dup": "#cc79a7",
    "Loc": "#e69f00",
    "Cls": "#0072b2",
    "Loc+Cls": "#56b4e9",
    "Bg": "#d55e00",
    "ignored": "#8a9199",
    "missed": "#d55e00",
}
KIND_MEANINGS = {
    "TP": "right: found an object",
    "Dup": "a second mask of an object that is found already",
    "Loc": "on an object, but its outline is too far off",
    "Cls": "on an object, but of another class",
    "Loc+Cls": "outline and class are off",
    "Bg": "where no object is",
    "ignored": "in a region that does not count",
    "missed": "an object that nothing found",
}
assert {*KINDS, "missed"} == KIND_COLORS.keys() == KIND_MEANINGS.keys()

_RUN_COLORS = ("#3b6ea5", "#c8702a", "#4f8f5b", "#8a5aa3", "#b0475a", "#6b7a86")


def run_color(number: int) -> str:
    """The colour of a run by its place on the command line; after some, colours repeat."""
    return _RUN_COLORS[number % len(_RUN_COLORS)]


def object_colors(count: int) -> Sequence[str]:
    """The colours of objects in the order of discovery, those of every figure of the package."""
    return ["#" + bytes(color).hex() for color in instance_colors(count)]
