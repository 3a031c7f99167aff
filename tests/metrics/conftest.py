"""Label maps for the metric tests."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def two_exact_and_four_extra() -> tuple[np.ndarray, np.ndarray]:
    """Two true objects found exactly, and four predictions on background."""
    truth = np.zeros((6, 8), dtype=np.int32)
    truth[1:3, 1:3], truth[1:3, 5:7] = 1, 2
    prediction = truth.copy()
    prediction[5, [0, 2, 4, 6]] = [3, 4, 5, 6]
    return prediction, truth
