"""What all data sets share: they are listed, read, cached, filtered and registered here.

A data set is a subclass that says what is special about it: which images it has (``find``), how one
of them becomes a standard dict (``read``), and its classes and evaluator (``metadata``). For images
with a label file each, ``labelled_images`` has ``read`` too.
"""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic

import numpy as np
from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.annotations import count_objects
from recseg_d2.data.problems import Item, Problem, Record, in_threads
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

ONE_CLASS = "object"
SIGNS = "signs"  # a key of dicts that only ``DataSource.suspicions`` sees


@dataclass(frozen=True)
class Fold:
    """One part of the images of a data set, or all but that part, drawn by a seed.

    Attributes:
        number: of the part, from 0.
        count: of parts of about the same size, 2 or more.
        held_out: whether the part itself is meant, and not the rest.
        seed: 0 or more; another one draws other parts.
    """

    number: int
    count: int
    held_out: bool
    seed: int = 0

    def select(self, records: Sequence[Record]) -> list[Record]:
        """The records that belong to it, in their order."""
        order = np.random.default_rng(self.seed).permutation(len(records))
        inside = order % self.count == self.number
        return [r for r, own in zip(records, inside, strict=True) if own == self.held_out]


@dataclass(frozen=True)
class DataSource(ABC, Generic[Item]):
    """A data set for Detectron2's catalogs; called, it gives the standard dicts of its images.

    Nothing is read before the first call. Each subclass has an ``Item`` of its own, by which
    ``find`` names an image and from which ``read`` makes its dict.

    Attributes:
        name: name of the data set in ``DatasetCatalog`` and ``MetadataCatalog``.
        min_objects: images with fewer objects are left out; crowds are no objects.
        max_objects: images with more objects are left out; None for no limit.
        one_class: take all objects to be of one class, "object".
        fold: of the images within these limits, those to take; None for all.
        METADATA: fields of ``MetadataCatalog``: "thing_classes", "evaluator_type" and others.
    """

    name: str
    min_objects: int = field(default=0, kw_only=True)
    max_objects: int | None = field(default=None, kw_only=True)
    one_class: bool = field(default=False, kw_only=True)
    fold: Fold | None = field(default=None, kw_only=True)
    METADATA: ClassVar[Mapping[str, Any]] = {}

    @property
    def place(self) -> object:
        """The folder or file that the data is in, for messages; here the data set's name."""
        return self.name

    @abstractmethod
    def find(self) -> Sequence[Item]:
        """The images, in the order of the data set.

        Raises:
            UserError: there is none, or what lists them is missing or cannot be read.
        """

    @abstractmethod
    def read(self, item: Item) -> Record:
        """The standard dict of an image, without "annotations" where there is no ground truth.

        Raises:
            UserError: a file is missing, damaged, or not as expected.
        """

    @abstractmethod
    def file_of(self, item: Item) -> str:
        """The file to name where ``read`` refuses an image."""

    def metadata(self) -> Mapping[str, Any]:
        """``METADATA``, or what takes its place where it depends on the attributes."""
        return self.METADATA

    def examine(self) -> tuple[Sequence[Item], list[Problem]]:
        """The images, as ``find``, and what is wrong that is not one image's.

        Raises:
            UserError: as ``find``.
        """
        return self.find(), []

    def suspicions(self, records: Sequence[Record]) -> list[Problem]:
        """What looks wrong about good files, given all their dicts; they can be used all the same.

        What ``read`` has put into a dict under ``SIGNS`` is for this alone.
        """
        return []

    def __call__(self) -> list[Record]:
        """The standard dicts; callers may change what they get, for files are read once.

        Raises:
            UserError: a file is missing, damaged or not as expected, or no image is left.
        """
        return [_copy(record) for record in self._records]

    def survey(self) -> tuple[list[Record], list[Problem]]:
        """The dicts of the good images, and what is wrong with the others, or looks so."""
        records, problems = self._surveyed
        return [_copy(record) for record in self._selected(records)], problems

    def register(self, **metadata: Any) -> None:
        """Register the data set under its name.

        Args:
            metadata: more fields for ``MetadataCatalog``, or others than ``metadata()`` has.
        """
        fields = {**self.metadata(), **metadata}
        classes = [ONE_CLASS] if self.one_class else list(fields["thing_classes"])
        DatasetCatalog.register(self.name, self)
        MetadataCatalog.get(self.name).set(**{**fields, "thing_classes": classes})

    @cached_property
    def _records(self) -> list[Record]:
        records, problems = self._surveyed
        errors = [problem for problem in problems if not problem.warning]
        if errors:
            count = f"{len(errors)} problems"
            hint = f" ({count}: `recseg check-dataset` names them all.)" if len(errors) > 1 else ""
            raise UserError(f"{errors[0]}{hint}")
        kept = self._selected(records)
        if not kept:
            raise UserError(f"{self.place}: {self._why_empty(records)}")
        objects = [count_objects(record) for record in kept]
        logger.info(
            "%s: %d images, %d objects; %d images without an object, %d left out.",
            self.name, len(kept), sum(objects), objects.count(0), len(records) - len(kept),
        )  # fmt: skip
        return kept

    @cached_property
    def _surveyed(self) -> tuple[list[Record], list[Problem]]:
        """The dicts of the good images, before the limits, and all that is wrong."""
        items, problems = self.examine()
        results = in_threads(self._attempt, items)
        records = [result for result in results if not isinstance(result, UserError)]
        wrong = [(i, r) for i, r in zip(items, results, strict=True) if isinstance(r, UserError)]
        problems = [*problems, *(Problem.of(self.file_of(i), error) for i, error in wrong)]
        problems += self.suspicions(records)
        for record in records:
            record.pop(SIGNS, None)
        return records, problems

    def _attempt(self, item: Item) -> Record | UserError:
        try:
            return self.read(item)
        except UserError as error:
            return error

    def _selected(self, records: list[Record]) -> list[Record]:
        kept = [record for record in records if self._keeps(record)]
        if self.one_class:
            for annotation in (a for record in kept for a in record.get("annotations", [])):
                annotation["category_id"] = 0
        return kept if self.fold is None else self.fold.select(kept)

    def _keeps(self, record: Record) -> bool:
        """Whether an image is within the limits; one without ground truth always is."""
        count, most = count_objects(record), self.max_objects
        within = self.min_objects <= count and (most is None or count <= most)
        return within or "annotations" not in record

    def _why_empty(self, records: Sequence[Record]) -> str:
        if self.fold is not None and any(map(self._keeps, records)):
            fold = self.fold
            return (
                f"fold {fold.number + 1} of {fold.count} leaves no image of {len(records)}; "
                "expected as many images as folds: name data for validation (--val-data)."
            )
        counts = [count_objects(record) for record in records] or [0]
        most = "any" if self.max_objects is None else self.max_objects
        return (
            f"none of {len(records)} images is left; they have {min(counts)} to {max(counts)} "
            f"objects, wanted are {self.min_objects} to {most}. Change --min-objects and "
            "--max-objects (min_objects, max_objects)."
        )


def check_choice(what: str, found: str, choices: Iterable[str]) -> None:
    """Refuse a split, or the like, that a data set does not have.

    Args:
        what: what was chosen, for the message, such as "Cityscapes split".
        found: the value that was chosen.
        choices: the values that may be chosen.

    Raises:
        UserError: it is none of them.
    """
    if found not in choices:
        raise UserError(f"{what}: found {found!r}, expected one of {', '.join(choices)}.")


def survey(source: Callable[[], list[Record]]) -> tuple[list[Record], list[Problem]]:
    """The dicts of what ``DatasetCatalog`` holds, and what is wrong with files that are left out.

    Raises:
        UserError: the data is refused as a whole; what is no ``DataSource`` has no other way.
    """
    return source.survey() if isinstance(source, DataSource) else (source(), [])


def _copy(record: Record) -> Record:
    if "annotations" not in record:
        return dict(record)
    return {**record, "annotations": [dict(a) for a in record["annotations"]]}
