"""The analyses by name, and running several of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from recseg_d2.analysis import activations, curves, errors, ordering, proposals, sizes, steps
from recseg_d2.analysis.report import Report
from recseg_d2.analysis.run_folder import MissingResultsError, RunFolder
from recseg_d2.analysis.subjects import Options, Subject, subjects_of

# Over the saved predictions of runs; the costly comparison with the ground truth is shared.
OF_PREDICTIONS: dict[str, Callable[[Sequence[Subject]], Report]] = {
    "ordering": ordering.analyse,
    "errors": errors.analyse,
    "sizes": sizes.analyse,
    "steps": steps.analyse,
    "activations": activations.analyse,
}
# Over other files of the runs.
OF_RUNS: dict[str, Callable[[Sequence[RunFolder], Options], Report]] = {
    "proposals": lambda runs, options: proposals.analyse(runs),
    "curves": lambda runs, options: curves.analyse(runs, options.keys),
}
ANALYSES = (*OF_PREDICTIONS, *OF_RUNS)


def run_analyses(
    names: Sequence[str], runs: Sequence[RunFolder], options: Options
) -> Iterator[tuple[str, Report | MissingResultsError]]:
    """Run analyses one after another.

    Args:
        names: of ``ANALYSES``.
        runs: to analyse, side by side.
        options: see there.

    Yields:
        a name and its report, or what the results lack for it.

    Raises:
        UserError: something is there but wrong.
    """
    subjects: list[Subject] = []
    notes: list[str] = []
    for name in names:
        try:
            if name in OF_RUNS:
                report = OF_RUNS[name](runs, options)
            else:
                if not subjects:
                    subjects, notes = subjects_of(runs, options)
                report = OF_PREDICTIONS[name](subjects)
                report.notes += notes
        except MissingResultsError as error:
            yield name, error
        else:
            yield name, report
