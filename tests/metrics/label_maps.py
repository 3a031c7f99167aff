"""Metrics as functions of two label maps, as the slow references take them."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import numpy as np

from recseg_d2.metrics import Overlap, count_overlap


def on_label_maps(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of an ``Overlap`` as one of prediction and truth."""

    @wraps(function)
    def of(prediction: np.ndarray, truth: np.ndarray, *args: Any, **options: Any) -> Any:
        table: Overlap = count_overlap(prediction, truth)
        return function(table, *args, **options)

    return of
