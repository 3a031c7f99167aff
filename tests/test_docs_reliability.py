"""The page of promises names tests that are there."""

from __future__ import annotations

import re


def test_every_test_that_is_named_is_there(root):
    text = (root / "docs" / "reliability.md").read_text()
    named = set(re.findall(r"`([\w/]+\.py)`", text)) - {"tools/run_onnx.py"}
    assert len(named) > 20
    assert [name for name in sorted(named) if not (root / "tests" / name).is_file()] == []
    rows = [line for line in text.split("## Memory")[0].splitlines() if line.startswith("| ")]
    assert all(re.search(r"`[\w/]+\.py`", row) for row in rows if row != "| promise | test |")
