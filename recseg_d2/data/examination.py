"""All that can be found out about a registered data set before it is used.

``recseg check-dataset`` prints it; ``recseg train`` stops at what cannot be used and logs the rest,
for the data to train on and for that to evaluate on, before the first iteration.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.image_check import ImageChecker
from recseg_d2.data.problems import Problem, Record
from recseg_d2.data.sources.base import survey
from recseg_d2.data.summary import tell_vanishing
from recseg_d2.data.validation import Report, validate_dicts
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

_MOST_LOGGED = 5  # warnings about a data set


class Examined(NamedTuple):
    """A data set and what was found.

    Attributes:
        dicts: Detectron2's standard dicts of the images that can be read.
        classes: their names; numbers for those of a data set that does not name them.
        report: all that is wrong, and counts over all images.
    """

    dicts: list[Record]
    classes: list[str]
    report: Report


def examine(name: str, images: ImageChecker, size: tuple[int, int] | None = None) -> Examined:
    """Read a data set's annotations and its images, with a progress bar.

    Args:
        name: name of the data set in ``DatasetCatalog``.
        images: opens the image files, and remembers the good ones.
        size: height and width that images are brought to; None: they keep their own.

    Raises:
        UserError: the data is refused as a whole.
    """
    dicts, problems = survey(DatasetCatalog[name])
    classes = _classes(name, dicts)
    report = validate_dicts(dicts, classes, images, progress=f"check {name}")
    images.remember()
    problems = [*problems, *report.problems]
    vanishing = tell_vanishing(report.facts, size) if size else ""
    for message in filter(None, (_tell_empty(report), vanishing)):
        problems.append(Problem(name, message, warning=True))
    return Examined(dicts, classes, Report(problems, report.summary, report.facts))


def refuse_unusable(name: str, report: Report) -> None:
    """Refuse a data set, unless all that was found are warnings.

    Raises:
        UserError: it has something that cannot be used.
    """
    errors = [problem for problem in report.problems if not problem.warning]
    if errors:
        more = f" ({len(errors)} problems: `recseg check-dataset` names them all.)"
        raise UserError(f"{name}: {errors[0]}{more * (len(errors) > 1)}")


def log_warnings(reports: Mapping[str, Report]) -> None:
    """Log what was found about data sets, by their names; of each the first few."""
    for name, report in reports.items():
        for problem in report.problems[:_MOST_LOGGED]:
            logger.warning("%s: %s", name, problem)
        more = len(report.problems) - _MOST_LOGGED
        if more > 0:
            logger.warning("%s: %d more; `recseg check-dataset` names them.", name, more)


def _tell_empty(report: Report) -> str:
    """A sentence on a data set whose annotated images have no object; or nothing."""
    found = report.summary
    annotated = found.images - found.unannotated
    if report.problems or not annotated or found.objects:
        return ""
    return f"none of {annotated} annotated images has an object."


def _classes(name: str, dicts: Sequence[dict[str, Any]]) -> list[str]:
    classes = MetadataCatalog.get(name).get("thing_classes")
    if classes is not None:
        return list(classes)
    ids = [a["category_id"] for record in dicts for a in record.get("annotations", [])]
    return [str(i) for i in range(max(ids, default=-1) + 1)]
