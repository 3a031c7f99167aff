"""The page of the metrics is that of the code."""

from __future__ import annotations

import re

from recseg_d2.metrics import METRICS
from recseg_d2.metrics.reference import reference_page


def test_the_page_in_docs_is_the_one_that_is_printed(root):
    assert (root / "docs" / "metrics.md").read_text() == reference_page(), "run `make docs`"


def test_every_metric_has_its_range_and_its_formula_is_whole():
    text = reference_page()
    for group in METRICS.values():
        for one in group:
            entry = text.partition(f"### {one.key}\n")[2].partition("\n### ")[0]
            assert f"`{one.name}`: {one.meaning}" in entry
            assert one.summary.split(",")[0] in entry
    formulas = re.findall(r"^\$\$\n(.+)\n\$\$$", text, re.M)
    assert len(formulas) == text.count("$$") // 2
    assert all(formula.count("{") == formula.count("}") for formula in formulas)
    assert not re.search(r"\.\. math|^(Args|Returns|Example):", text, re.M)
