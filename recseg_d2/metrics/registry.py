"""The metrics that can be asked for by name, as tools and evaluators report them.

A metric is a function with a decorator, in any file of this folder that ``__init__`` imports::

    @metric("sbd", "SBD", higher_is_better=True)
    def symmetric_best_dice(table: Overlap) -> float: ...

Its docstring has the formula and the empty cases. A metric of a single image takes the ``Overlap``
of prediction (a) and ground truth (b); the data set's number is the mean over the images that
define it. One of a whole data set takes ``sums``, which are added up over the images first::

    @metric("pq", "PQ", sums=panoptic_sums, higher_is_better=True)
    def panoptic_quality(sums: np.ndarray) -> float: ...
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from recseg_d2.errors import UserError
from recseg_d2.metrics.overlap import Overlap

Function = TypeVar("Function", bound=Callable[..., float])

SHARE = (0.0, 1.0)
COUNT = (0.0, math.inf)
DEFAULT_METRICS = ("sbd", "dic", "fgbg")  # the leaf segmentation challenge's
_PERCENT = 100.0


@dataclass(frozen=True)
class Metric:
    """A number by which a prediction is compared with the ground truth.

    Attributes:
        name: what it is chosen by; the numbers of a name are reported together.
        key: name of the number in tables and results.
        function: from an image's ``Overlap``, or from the ``sums`` of several images, to the
            number; NaN where it is not defined.
        higher_is_better: False where lower is better; None where 0 is, from either side.
        limits: the least and the largest value of the function. What lies in ``SHARE`` is reported
            in 0..100.
        sums: from an image's ``Overlap`` to a float array that adds up over images; None for a
            metric of single images.
    """

    name: str
    key: str
    function: Callable[..., float]
    higher_is_better: bool | None
    limits: tuple[float, float] = SHARE
    sums: Callable[[Overlap], np.ndarray] | None = None

    def measure(self, table: Overlap) -> Any:
        """What has to be kept of an image: its number or its sums."""
        return self._reported(table) if self.sums is None else self.sums(table)

    def of_image(self, kept: Any) -> float:
        """The number of an image, of what ``measure`` returned; shares in 0..100."""
        return kept if self.sums is None else self._reported(kept)

    def of_images(self, kept: Sequence[Any]) -> float:
        """The number of several images; NaN where none of them defines it."""
        # pooled over images: a ratio of sums, not a mean of ratios
        if self.sums is not None:
            return self._reported(sum(kept)) if kept else math.nan
        values = np.array(kept, dtype=float)
        # an image where the metric has no value, such as one without objects, is left out
        values = values[~np.isnan(values)]
        return float(values.mean()) if values.size else math.nan

    @property
    def meaning(self) -> str:
        """Range and direction, such as "0 to 100, higher is better"."""
        scale = _PERCENT if self.limits == SHARE else 1.0
        low, high = (f"{scale * limit:g}" for limit in self.limits)
        best = {True: "higher is better", False: "lower is better", None: "best at 0"}
        return f"{low} to {high}, {best[self.higher_is_better]}"

    @property
    def summary(self) -> str:
        """The first sentence of the function's docstring."""
        return (inspect.getdoc(self.function) or "").partition("\n")[0]

    def _reported(self, given: Any) -> float:
        return (_PERCENT if self.limits == SHARE else 1) * self.function(given)


METRICS: dict[str, tuple[Metric, ...]] = {}  # by name; filled by the decorator


def metric(
    name: str,
    key: str,
    *,
    higher_is_better: bool | None,
    limits: tuple[float, float] = SHARE,
    sums: Callable[[Overlap], np.ndarray] | None = None,
) -> Callable[[Function], Function]:
    """Register the decorated function; the arguments are ``Metric``'s attributes."""

    def register(function: Function) -> Function:
        added = Metric(name, key, function, higher_is_better, limits, sums)
        METRICS[name] = (*METRICS.get(name, ()), added)
        return function

    return register


def select_metrics(names: Iterable[str]) -> tuple[Metric, ...]:
    """The metrics of some names, in that order, each once.

    Raises:
        UserError: a name is unknown, or there is none.
    """
    names = list(dict.fromkeys(names))
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        found = ", ".join(unknown) or "no metric"
        raise UserError(f"metrics: found {found}, expected one or more of {', '.join(METRICS)}.")
    return tuple(one for name in names for one in METRICS[name])
