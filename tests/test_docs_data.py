"""The table of formats names those that are there."""

from __future__ import annotations

import re

from recseg_d2.cli.predict import FORMATS
from recseg_d2.data.formats.data_sets import DATA_SET_FORMATS


def test_every_format_is_in_the_table_and_no_other(root):
    lines = (root / "docs" / "data.md").read_text().splitlines()
    rows = [line.strip("| ").split("|") for line in lines if line.startswith("| ")][1:]
    names = [re.findall(r"`(\w+)`", row[3]) for row in rows if len(row) > 3]
    assert sorted(name[0] for name in names if name) == sorted(DATA_SET_FORMATS)
    predicted = [re.findall(r"`(\w+)`", row[4]) for row in rows if len(row) > 4]
    assert sorted(name[0] for name in predicted if name) == sorted(FORMATS)
