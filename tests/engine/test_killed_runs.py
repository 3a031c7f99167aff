"""A run that is killed at any of its writes goes on to the same bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from warm_python import run_python

APPENDED = ("log.txt", "metrics.json", "events.out.tfevents", ".lock")  # not written as a whole


@pytest.mark.slow
def test_a_run_killed_at_any_write_is_resumed_to_the_same_bits(tmp_path, tool_env):
    script = Path(__file__).parent / "kill_at_every_write.py"
    result = run_python([script, tmp_path], tool_env)
    assert result.returncode == 0, result.stderr[-3000:]
    found = json.loads(result.stdout.splitlines()[-1])
    assert len(found["writes"]) >= 15
    for name, weights in zip(found["writes"], found["resumed"], strict=True):
        assert weights == found["whole"], name
    files = [path for path in (tmp_path / "whole").rglob("*") if path.is_file()]
    whole = {
        str(p.relative_to(tmp_path / "whole")) for p in files if not p.name.startswith(APPENDED)
    }
    assert whole == set(found["writes"])  # nothing is written in another way
