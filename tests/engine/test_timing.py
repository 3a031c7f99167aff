from __future__ import annotations

import pytest

from recseg_d2.engine.timing import iterations_within


@pytest.mark.parametrize(
    ("seconds", "minutes", "expected"),
    [(0.5, 10, 1200), (0.37, 1, 160), (60, 5, 50), (1e-3, 1, 60000)],
)
def test_minutes_as_iterations(seconds, minutes, expected):
    assert iterations_within(seconds, minutes) == expected
