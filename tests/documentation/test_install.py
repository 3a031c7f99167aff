"""The page of the installation names the extras and backends that there are."""

from __future__ import annotations

import re

from recseg_d2 import _seam
from recseg_d2.engine.environment import EXTRAS


def test_every_extra_and_backend_is_in_its_table(root):
    text = (root / "docs" / "install.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| (.+) \|$", text, re.M)
    meanings = {name: what.replace("`", "") for name, what in rows}
    for extra, purpose in EXTRAS.items():
        assert meanings[extra].startswith(purpose.replace("`", ""))
    assert set(meanings) == {*EXTRAS, "dev", *_seam.BACKENDS}
