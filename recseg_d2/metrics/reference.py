"""Prints the page of the metrics from their docstrings: ``python -m recseg_d2.metrics.reference``.

A section of the page is a file of this folder, with the text of its first lines; in it stand its
metrics, with range, direction, formula, what they return in empty cases, and examples.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from recseg_d2.metrics.overlap import Overlap
from recseg_d2.metrics.registry import DEFAULT_METRICS, METRICS, Metric

INTRODUCTION = f"""\
# Metrics

What `recseg evaluate --metrics NAME ...`, training and `recseg_d2.metrics.score_image` report of
label maps; the default is `{" ".join(DEFAULT_METRICS)}`. This page is printed from the code by
`make docs`. Cityscapes' and Pascal VOC's AP and the average recall of proposals are described in
`recseg_d2/metrics/cityscapes_ap.py`, `voc_ap.py` and `average_recall.py`.

All metrics of this page are computed from the pixels that each predicted object $A_i$ shares with
each true object $B_j$, with intersection over union $J$ and dice $D$:
"""

BETWEEN = """\
The number of a data set is the mean over the images that define it. A metric that is *pooled* is
computed from sums over all images. Shares are in 0 to 100 where they are reported, and in 0 to 1
where a function returns them.
"""

_SECTION = re.compile(r"^(Args|Returns|Raises|Example):\n((?:[ ]+.*\n|\n)*)", re.M)
_MATH = re.compile(r"^\.\. math:: (.+(?:\n[ ]+.+)*)", re.M)
_SHARED = ("table", "sums", "hits")  # arguments that the page's introduction explains


def reference_page() -> str:
    """The page, in Markdown."""
    parts = [INTRODUCTION, *(_formulas(getattr(Overlap, name)) for name in ("iou", "dice"))]
    parts.append(BETWEEN)
    metrics = [one for group in METRICS.values() for one in group]
    by_file = sorted(metrics, key=lambda one: one.function.__module__)
    for file, group in groupby(by_file, key=lambda one: one.function.__module__):
        title, _, text = (inspect.getdoc(sys.modules[file]) or "").partition("\n\n")
        parts += [
            f"## {_markdown(title).rstrip('.')}\n",
            *([f"{_markdown(text)}\n"] if text else []),
        ]
        parts += [_entry(one) for one in group]
    return "\n".join(parts)


def _entry(one: Metric) -> str:
    """A metric: its name, range, meaning and formula, and the rest of its docstring."""
    text = inspect.getdoc(one.function) or ""
    sections = {name: inspect.cleandoc(body) for name, body in _SECTION.findall(text + "\n")}
    pooled = "" if one.sums is None else ", pooled"
    lines = [f"### {one.key}\n", f"`{one.name}`: {one.meaning}{pooled}.\n"]
    lines.append(_markdown(_SECTION.sub("", text + "\n").strip()) + "\n")
    lines += [f"- `{name}`: {meaning}\n" for name, meaning in _arguments(sections.get("Args", ""))]
    if "Returns" in sections:
        lines.append(f"Value of the function: {_markdown(_joined(sections['Returns']))}\n")
    if "Example" in sections:
        lines.append(f"```python\n{sections['Example']}\n```\n")
    return "\n".join(lines)


def _arguments(text: str) -> Iterator[tuple[str, str]]:
    """Name and meaning of each argument that is not the table or the sums."""
    for name, meaning in re.findall(r"^(\w+): (.+(?:\n[ ]+.+)*)", text, re.M):
        if name not in _SHARED:
            yield name, _markdown(_joined(meaning))


def _formulas(value: Any) -> str:
    """The formulas of a property's or function's docstring alone."""
    found = _MATH.findall(inspect.getdoc(value) or "")
    return "".join(f"$$\n{_joined(text)}\n$$\n" for text in found)


def _markdown(text: str) -> str:
    """Text of a docstring in Markdown."""
    text = _MATH.sub(lambda found: f"$$\n{_joined(found.group(1))}\n$$", text)
    return text.replace("``", "`")


def _joined(text: str) -> str:
    """Lines as one."""
    return re.sub(r"\s*\n\s*", " ", text).strip()


if __name__ == "__main__":
    print(reference_page(), end="")
