"""The figures need arrays and Pillow only; the glue to data sets stands apart."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

GLUE = {"pictures.py", "samples.py"}
PLOTS = {"plots.py"}  # of numbers, not on images: matplotlib, imported where it is used
STANDARD = {
    "__future__",
    "collections",
    "colorsys",
    "dataclasses",
    "functools",
    "itertools",
    "typing",
}
ALLOWED = STANDARD | {"numpy", "torch", "PIL"}


FOLDER = Path(__file__).parents[2] / "recseg_d2" / "visualization"


@pytest.mark.parametrize("name", sorted({p.name for p in FOLDER.glob("*.py")} - GLUE - PLOTS))
def test_imports_of_figures(name):
    for node in ast.walk(ast.parse((FOLDER / name).read_text())):
        if isinstance(node, ast.ImportFrom):
            module = node.module or ""
        elif isinstance(node, ast.Import):
            module = node.names[0].name
        else:
            continue
        inside = module.startswith("recseg_d2.visualization.") and "pictures" not in module
        inside |= module == "recseg_d2.layers.masks"
        assert inside or module.split(".")[0] in ALLOWED, module
