"""The saved predictions of runs, and what is computed of them once for all analyses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from detectron2.data import DatasetCatalog

from recseg_d2 import rle
from recseg_d2.analysis.evidence import (
    ImageEvidence,
    PredictedObjects,
    image_evidence,
    predicted_objects,
)
from recseg_d2.analysis.options import AnalysisOptions
from recseg_d2.analysis.result import Table
from recseg_d2.analysis.run_folder import MissingResultsError, RunFolder, of_each
from recseg_d2.data.annotations import label_map_from_dict
from recseg_d2.data.coco_results import Entry, SavedResults, categories_of, load_results
from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import GroundTruth
from recseg_d2.metrics import ImageScores
from recseg_d2.metrics.error_diagnosis import Diagnosis, diagnose
from recseg_d2.postprocess import label_map_of


@dataclass(frozen=True, eq=False)
class RunPredictions:
    """The predictions of a run on a data set; what is costly is computed once, when asked for.

    Attributes:
        label: what the predictions are called in tables and figures.
        run: the folder that they were found in.
        results: the content of the file of predictions.
        options: what the user chose.
    """

    label: str
    run: RunFolder
    results: SavedResults
    options: AnalysisOptions

    @cached_property
    def found(self) -> list[PredictedObjects]:
        """The predictions of each image; no ground truth is needed.

        Raises:
            UserError: a category is none of those that the results or the data set name.
        """
        found = []
        for image_id, image in self._images.items():
            entries = self.results.entries[image_id]
            kept = [entry for entry in entries if entry["score"] >= self.options.min_score]
            found.append(predicted_objects(image, kept, self._class_of))
        return found

    @cached_property
    def evidence(self) -> list[ImageEvidence]:
        """Predictions and truth of each image.

        Raises:
            MissingResultsError: the data set is not registered here.
            UserError: predictions and data set do not fit each other.
        """
        agnostic = self.options.class_agnostic
        pairs = zip(self.found, self.records, strict=True)
        return [image_evidence(found, record, agnostic) for found, record in pairs]

    @cached_property
    def diagnoses(self) -> list[Diagnosis]:
        """What became of the predictions and objects of each image; raises as ``evidence``."""
        threshold = self.options.iou_thresh
        return [
            diagnose(e.iou, e.found.scores, e.found.classes, e.true_classes, e.ignored, threshold)
            for e in self.evidence
        ]

    @cached_property
    def scores(self) -> ImageScores:
        """Scores of each image by the text of its id; raises as ``evidence``."""
        scores = ImageScores(self.options.metrics)
        for image_id, evidence, record in zip(
            self._images, self.evidence, self.records, strict=True
        ):
            found = evidence.found
            masks = map(rle.decode, found.masks)
            predicted = SimpleNamespace(
                image_size=found.size, scores=found.scores, pred_masks=masks
            )
            scores.update(str(image_id), label_map_of(predicted), label_map_from_dict(record))
        return scores

    @cached_property
    def records(self) -> list[dict[str, Any]]:
        """The standard dict of each image, found by its id or else its file's name.

        Raises:
            MissingResultsError: the data set is not registered here.
            UserError: the data set lacks one of the images.
        """
        if not self.has_truth:
            named = f"the data set {self._dataset!r}, which is not registered"
            raise MissingResultsError(
                f"{self.label}: predictions are of {named if self._dataset else 'no data set'}; "
                "name it by --dataset NAME, or give its folder by --val-data PATH."
            )
        truth = GroundTruth(self._dataset)
        try:
            return [truth.find(k, image.get("file_name")) for k, image in self._images.items()]
        except UserError as error:
            raise UserError(f"{self.label}: {error}") from error

    @cached_property
    def classes(self) -> list[str]:
        """Names of all classes that occur, by number; those that nothing names get their number."""
        if self.options.class_agnostic:
            return ["object"]
        # results of other tools, without a list of categories, have numbers alone
        numbers = [int(found.classes.max(initial=-1)) for found in self.found]
        if self.has_truth:
            for record in DatasetCatalog.get(self._dataset):
                numbers += [a["category_id"] for a in record.get("annotations", [])]
        # classes without a name come after the named ones, under their number
        names = [category["name"] for category in self._categories]
        return names + [f"class {i}" for i in range(len(names), max(numbers, default=-1) + 1)]

    def check_order(self, least_objects: int = 1) -> None:
        """Refuse what has no order of discovery.

        Args:
            least_objects: number of predicted objects that at least one image has to have.

        Raises:
            MissingResultsError: the model finds all objects at once, or there is no such image.
        """
        # results of other tools, and of models that find all at once, have no "step"
        if not all(found.ordered for found in self.found):
            raise MissingResultsError(
                f"{self.label}: its model finds all objects at once, in no order."
            )
        if not any(len(found.classes) >= least_objects for found in self.found):
            raise MissingResultsError(f"{self.label}: in no image {least_objects} found objects.")

    @property
    def _images(self) -> dict[Any, dict[str, Any]]:
        return self.results.images

    @property
    def _dataset(self) -> str:
        named, chosen = self.results.dataset, self.options.dataset
        # the data set that the file names, as long as it can be read here
        return named if named in DatasetCatalog.list() or not chosen else chosen

    @property
    def has_truth(self) -> bool:
        """Whether the data set that the predictions are of is registered here."""
        return self._dataset in DatasetCatalog.list()

    @cached_property
    def _categories(self) -> list[dict[str, Any]]:
        if self.results.categories or not self.has_truth:
            return self.results.categories
        return categories_of(self._dataset)

    @cached_property
    def _class_numbers(self) -> dict[int, int]:
        return {category["id"]: number for number, category in enumerate(self._categories)}

    def _class_of(self, entry: Entry) -> int:
        category: int = entry["category_id"]
        if self.options.class_agnostic:
            return 0
        if self._categories and category not in self._class_numbers:
            known = ", ".join(map(str, self._class_numbers))
            raise UserError(
                f"{self.label}: found category {category!r}, expected one of {known}; or take all "
                "objects to be of one class by --class-agnostic."
            )
        return self._class_numbers.get(category, category)


@dataclass(frozen=True, eq=False)
class AnalysisInput:
    """What analyses take.

    Attributes:
        runs: the runs to analyse; tables and figures have them side by side.
        options: what the user chose.
    """

    runs: Sequence[RunFolder]
    options: AnalysisOptions = field(default_factory=AnalysisOptions)

    @cached_property
    def saved(self) -> tuple[list[RunPredictions], list[str]]:
        """Every predictions file of every run, and a note for each run without one.

        Raises:
            MissingResultsError: no run has any.
            UserError: a file cannot be read.
        """
        found, notes = of_each(self.runs, RunFolder.prediction_files)
        predictions = []
        for run, paths in found:
            for path in paths:
                results = load_results(path)
                label = run.name if len(paths) == 1 else f"{run.name}, {results.dataset}"
                predictions.append(RunPredictions(label, run, results, self.options))
        return predictions, notes

    def tabulate(self, compute: Callable[[RunPredictions], Table]) -> tuple[Table, list[str]]:
        """The rows that are computed of each run's predictions, its label first in each.

        Returns:
            the rows, and a note for each run that lacks what they take.

        Raises:
            MissingResultsError: all runs lack it.
        """
        predictions, notes = self.saved
        found, missing = of_each(predictions, compute)
        rows = [{"run": of_run.label, **row} for of_run, table in found for row in table]
        return rows, [*notes, *missing]
