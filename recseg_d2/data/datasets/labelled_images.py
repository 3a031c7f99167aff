"""A source of standard dicts over images with one label file each.

What the benchmarks of street scenes share: a function lists the files, the label files are read
once, in several threads, and what is kept of them is run-length encoded. Images are not decoded,
only their headers are read.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2.data.image_io import probe_image
from recseg_d2.data.problems import Problem, read_all, survey_all
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class LabelledImage:
    """The files of an image.

    Attributes:
        image_id: goes into the standard dict.
        image: the image file.
        labels: its label file; None where there is none, as in test sets.
        files: more entries of the standard dict, paths by key, such as "disparity_file".
    """

    image_id: str
    image: Path
    labels: Path | None
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True)
class LabelledImages:
    """A source of standard dicts, for ``DatasetCatalog``.

    Attributes:
        name: of the data set, for the log.
        find: lists the files; raises ``UserError`` where they are not as expected.
        read: (H, W) integers from a label file.
        annotate: annotations from these integers.
    """

    name: str
    find: Callable[[], list[LabelledImage]]
    read: Callable[[Path], np.ndarray]
    annotate: Callable[[np.ndarray], list[dict[str, Any]]]

    def __call__(self) -> list[dict[str, Any]]:
        """The standard dicts; callers may change what they get.

        Raises:
            UserError: a file is missing, damaged, of the wrong type, or of another size than its
                image.
        """
        return [_copy(record) for record in self._records]

    def survey(self) -> tuple[list[dict[str, Any]], list[Problem]]:
        """The dicts of the good images, and what is wrong with the others."""
        return survey_all(self._record, self.find(), lambda files: str(files.image))

    @cached_property
    def _records(self) -> list[dict[str, Any]]:
        records = read_all(self._record, self.find())
        counts = [len(r.get("annotations", [])) for r in records]
        logger.info(
            "%s: %d images, %d annotations; %d images without one.",
            self.name, len(records), sum(counts), counts.count(0),
        )  # fmt: skip
        return records

    def _record(self, files: LabelledImage) -> dict[str, Any]:
        height, width = probe_image(files.image, decode=False)
        record: dict[str, Any] = {
            "file_name": str(files.image),
            "height": height,
            "width": width,
            "image_id": files.image_id,
            **{key: str(path) for key, path in files.files.items()},
        }
        if files.labels is None:
            return record
        labels = self.read(files.labels)
        if labels.shape != (height, width):
            raise UserError(
                f"{files.labels}: found {labels.shape[1]}x{labels.shape[0]} pixels, expected the "
                f"{width}x{height} of {files.image}; a label file has its image's size."
            )
        return {**record, "annotations": self.annotate(labels)}


def check_files(files: Sequence[LabelledImage], source: Path, how_to_get: str) -> None:
    """See that every image and label file is there.

    Args:
        files: as ``LabelledImages.find`` returns them.
        source: the folder or the list that names the images, for the message.
        how_to_get: the end of the message.

    Raises:
        UserError: one is missing.
    """
    for paths in ([f.image for f in files], [f.labels for f in files]):
        missing = [path for path in paths if path is not None and not path.is_file()]
        if missing:
            raise UserError(
                f"{source}: {len(missing)} of {len(files)} images have no such file as "
                f"{missing[0]}; expected one for each. {how_to_get}"
            )


def _copy(record: dict[str, Any]) -> dict[str, Any]:
    if "annotations" not in record:
        return dict(record)
    return {**record, "annotations": [dict(a) for a in record["annotations"]]}
