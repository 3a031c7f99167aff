"""The analyses by name, and running several of them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence

from recseg_d2.analysis import (
    activations,
    curves,
    errors,
    ordering,
    proposals,
    quality,
    scores,
    sequences,
)
from recseg_d2.analysis.predictions import AnalysisInput
from recseg_d2.analysis.result import AnalysisResult
from recseg_d2.analysis.run_folder import MissingResultsError

ANALYSES: dict[str, Callable[[AnalysisInput], AnalysisResult]] = {
    "scores": scores.analyse,
    "ordering": ordering.analyse,
    "sequences": sequences.analyse,
    "errors": errors.analyse,
    "sizes": quality.by_size,
    "steps": quality.by_step,
    "activations": activations.analyse,
    "proposals": proposals.analyse,
    "curves": curves.analyse,
}


def run_analyses(
    names: Sequence[str], data: AnalysisInput
) -> Iterator[tuple[str, AnalysisResult | MissingResultsError]]:
    """Run analyses one after another.

    Args:
        names: names of analyses, keys of ``ANALYSES``.
        data: the runs and the options that every analysis takes.

    Yields:
        a name and its result, or what the runs lack for it.

    Raises:
        UserError: something is there but wrong.
    """
    for name in names:
        try:
            yield name, ANALYSES[name](data)
        except MissingResultsError as error:
            yield name, error


def summary_of(name: str) -> str:
    """What an analysis shows, the first sentence of its docstring."""
    return (inspect.getdoc(ANALYSES[name]) or "").partition("\n")[0]
