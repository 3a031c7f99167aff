"""What is analysed: the predictions of a run on a data set. May use: the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

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


def subjects_of(runs: Sequence[RunFolder], options: Options) -> list[Subject]:
    """Every predictions file of every run.

    Raises:
        MissingResultsError: a run has none.
        UserError: a file cannot be read.
    """
    subjects = []
    for run in runs:
        files = [load_predictions(path) for path in run.prediction_files()]
        for predictions in files:
            label = run.name if len(files) == 1 else f"{run.name}, {predictions.dataset}"
            subjects.append(Subject(label, run, predictions, options))
    return subjects


def ordered_subjects(
    subjects: Sequence[Subject], least_objects: int = 1
) -> tuple[list[Subject], list[str]]:
    """Those whose models find one object after another, and a note for each of the others.

    Args:
        subjects: to choose from.
        least_objects: predicted in an image or more of those that are returned, all together.

    Raises:
        MissingResultsError: there is none, or no image with so many objects.
    """
    ordered = [s for s in subjects if all(found.ordered for found in s.found)]
    notes = [
        f"{s.label}: left out, its model finds all objects at once, in no order."
        for s in subjects
        if s not in ordered
    ]
    if not ordered:
        raise MissingResultsError(" ".join(notes))
    if not any(len(found.classes) >= least_objects for s in ordered for found in s.found):
        labels = ", ".join(s.label for s in ordered)
        raise MissingResultsError(f"{labels}: in no image {least_objects} predicted objects.")
    return ordered, notes
