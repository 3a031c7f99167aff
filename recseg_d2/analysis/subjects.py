"""What is analysed: the predictions of a run on a data set."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

from recseg_d2.analysis.evidence import (
    FoundObjects,
    ImageEvidence,
    class_names,
    found_objects,
    image_evidence,
    records_of,
)
from recseg_d2.analysis.run_folder import MissingResultsError, RunFolder
from recseg_d2.evaluation.predictions import SavedPredictions, load_predictions
from recseg_d2.metrics.error_diagnosis import MATCH_IOU

Item = TypeVar("Item")
Result = TypeVar("Result")

PAPER_MIN_PAIRS = 20  # Salvador et al. 2017, figure 5


@dataclass(frozen=True)
class Options:
    """What a user may choose.

    Attributes:
        min_pairs: category pairs that follow each other less often are not shown.
        min_score: predictions that score below are left out.
        threshold: IoU from which an object counts as found.
        class_agnostic: classes are not looked at.
        before: weights of "before training"; empty are those that the run began with.
        keys: of metrics.json, for curves; empty are all losses and scores.
    """

    min_pairs: int = PAPER_MIN_PAIRS
    min_score: float = 0.0
    threshold: float = MATCH_IOU
    class_agnostic: bool = False
    before: str = ""
    keys: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Subject:
    """The predictions of a run on a data set; what is costly is computed once, when asked for.

    Attributes:
        label: in tables and figures.
        run: that they are of.
        predictions: as saved.
        options: see there.
    """

    label: str
    run: RunFolder
    predictions: SavedPredictions
    options: Options

    @cached_property
    def found(self) -> list[FoundObjects]:
        """The predictions of each image; no ground truth is needed."""
        images = self.predictions.images
        found = [found_objects(image, self.options.min_score) for image in images]
        return [f.without_classes() for f in found] if self.options.class_agnostic else found

    @cached_property
    def evidence(self) -> list[ImageEvidence]:
        """Predictions and truth of each image.

        Raises:
            MissingResultsError: the data set is not registered here.
            UserError: predictions and data set do not fit each other.
        """
        return [
            image_evidence(found, record, self.options.class_agnostic)
            for found, record in zip(self.found, self.records, strict=True)
        ]

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The standard dict of each image; raises as ``evidence`` does."""
        return records_of(self.predictions)

    @property
    def classes(self) -> list[str]:
        """Names of the classes, by number."""
        return ["object"] if self.options.class_agnostic else class_names(self.predictions)


def subjects_of(runs: Sequence[RunFolder], options: Options) -> tuple[list[Subject], list[str]]:
    """Every predictions file of every run, and a note for each run without one.

    Raises:
        MissingResultsError: no run has any.
        UserError: a file cannot be read.
    """
    found, notes = of_each(runs, RunFolder.prediction_files)
    subjects = []
    for run, paths in found:
        for predictions in map(load_predictions, paths):
            label = run.name if len(paths) == 1 else f"{run.name}, {predictions.dataset}"
            subjects.append(Subject(label, run, predictions, options))
    return subjects, notes


def of_each(
    items: Sequence[Item], compute: Callable[[Item], Result]
) -> tuple[list[tuple[Item, Result]], list[str]]:
    """What is computed of each item, and a note for each that lacks what it takes.

    Raises:
        MissingResultsError: all of them lack it.
    """
    results, notes = [], []
    for item in items:
        try:
            results.append((item, compute(item)))
        except MissingResultsError as error:
            notes.append(str(error))
    if not results:
        raise MissingResultsError(" ".join(notes))
    return results, notes


def check_order(subject: Subject, least_objects: int = 1) -> None:
    """Refuse what has no order of discovery.

    Args:
        subject: to check.
        least_objects: predicted in an image or more.

    Raises:
        MissingResultsError: the model finds all objects at once, or there is no such image.
    """
    if not all(found.ordered for found in subject.found):
        raise MissingResultsError(
            f"{subject.label}: its model finds all objects at once, in no order."
        )
    if not any(len(found.classes) >= least_objects for found in subject.found):
        raise MissingResultsError(f"{subject.label}: in no image {least_objects} found objects.")
