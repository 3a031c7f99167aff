"""Submissions to the leaf segmentation challenge.

In the output folder:
    labels/<group>/plantNNN_label.png   label maps of 8 bits, 0 is background, leaves are 1, 2, ...
    submission.h5                       the layout of 2017: <group>/<plant>/label, (H, W) uint8

The challenge's file of 2017 has every plant of its test images. Those for which there is no
prediction, such as all of the other groups where a model is for A1, are written without a leaf.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog
from detectron2.evaluation import DatasetEvaluator

from recseg_d2.data.io.hdf5 import PREFIX, create_h5, open_h5, split_h5_path
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.errors import UserError
from recseg_d2.evaluation.base import gather_parts
from recseg_d2.files import make_folder
from recseg_d2.postprocess import label_map_of

logger = logging.getLogger(__name__)

FORMATS = ("png", "hdf5")
H5_NAME = "submission.h5"

_MOST_LEAVES = 255  # what a label of 8 bits can tell apart
_TEST_FOLDER = "_test"  # what the folder of a group's test images ends in


class CvpppSubmission:
    """Writes predictions one after another; use it in a ``with`` statement.

    Args:
        folder: the submission's folder; it is made where it is missing.
        formats: the formats to write, any of ``FORMATS``.

    Raises:
        UserError: a format is unknown, the folder cannot be made, or h5py is missing.
    """

    def __init__(self, folder: str | Path, formats: Sequence[str] = FORMATS) -> None:
        unknown = [f for f in formats if f not in FORMATS]
        if unknown or not formats:
            raise UserError(
                f"formats: found {', '.join(unknown) or 'none'}, expected {' and '.join(FORMATS)}, "
                "or one of them."
            )
        self.folder = make_folder(folder)
        self._as_png = "png" in formats
        self._open = ExitStack()
        self._h5: Any = None
        if "hdf5" in formats:
            self._h5 = self._open.enter_context(create_h5(self.folder / H5_NAME))
        self._sources: dict[tuple[str, str], str] = {}
        self._image_files: set[Path] = set()

    def __enter__(self) -> CvpppSubmission:
        return self

    def __exit__(self, *error: Any) -> None:
        self._open.__exit__(*error)

    def add(self, record: dict[str, Any], labels: np.ndarray) -> int:
        """Write the prediction of an image.

        Args:
            record: the image's standard dict, of a data set over CVPPP's folders or HDF5 files.
            labels: (H, W) integers, 0 is background; labels need not be consecutive.

        Returns:
            the number of leaves.

        Raises:
            UserError: two images are of the same plant, or there are more leaves than labels.
            ValueError: the label map is not of the image's size.
        """
        file_name, (group, plant) = record["file_name"], plant_of(record)
        if (group, plant) in self._sources:
            raise UserError(
                f"{self._sources[group, plant]} and {file_name} are both plant {plant} of group "
                f"{group}; name data sets of different groups, each once."
            )
        if labels.shape != (record["height"], record["width"]):
            raise ValueError(
                f"{file_name}: labels of {labels.shape}, expected those of the image, "
                f"({record['height']}, {record['width']})"
            )
        values, consecutive = np.unique(np.append(labels.ravel(), 0), return_inverse=True)
        if len(values) - 1 > _MOST_LEAVES:
            raise UserError(
                f"{file_name}: found {len(values) - 1} leaves, expected at most the {_MOST_LEAVES} "
                "that labels of 8 bits tell apart; raise the score threshold."
            )
        self._sources[group, plant] = file_name
        self._write(group, plant, consecutive[:-1].reshape(labels.shape).astype(np.uint8))
        if file_name.startswith(PREFIX):
            self._image_files.add(split_h5_path(file_name)[0])
        return len(values) - 1

    def finish(self) -> list[str]:
        """Complete the HDF5 file with the other plants of the files that images came from.

        Returns:
            "<group>/<plant>" of those.
        """
        added: list[str] = []
        if self._h5 is None:
            return added
        for path in sorted(self._image_files):
            with open_h5(path) as images:
                for group in sorted(images):
                    for plant in sorted(set(images[group]) - set(self._h5.get(group, ()))):
                        shape = images[group][plant]["rgb"].shape[:2]
                        self._write_h5(group, plant, np.zeros(shape, np.uint8))
                        added.append(f"{group}/{plant}")
        return added

    def _write(self, group: str, plant: str, labels: np.ndarray) -> None:
        if self._as_png:
            folder = make_folder(self.folder / "labels" / group)
            write_label_map(folder / f"{plant}_label.png", labels)
        if self._h5 is not None:
            self._write_h5(group, plant, labels)

    def _write_h5(self, group: str, plant: str, labels: np.ndarray) -> None:
        node = self._h5.require_group(f"{group}/{plant}")
        node.create_dataset("label", data=labels, compression="gzip")
        node["label_filename"] = f"{plant}_label.png"


def plant_of(record: dict[str, Any]) -> tuple[str, str]:
    """Group and plant of an image, such as ("A1", "plant003").

    Args:
        record: a standard dict; in folders the folder's name is the group, "A1" or "A1_test".
    """
    if record["file_name"].startswith(PREFIX):
        _, where = split_h5_path(record["file_name"])
        group, plant = where.split("/")[:2]
        return group, plant
    return Path(record["file_name"]).parent.name.removesuffix(_TEST_FOLDER), record["image_id"]


class CvpppSubmissionEvaluator(DatasetEvaluator):
    """Evaluator of type "cvppp_submission": writes the submission, and scores nothing.

    For test images whose leaves are not public. The files go to <output_dir>/submission, the HDF5
    file only where h5py is installed.

    Args:
        dataset_name: of CVPPP's images, in folders or HDF5 files.
        output_dir: see above.
        distributed: gather from all processes; else only this process's images are written.
    """

    def __init__(self, dataset_name: str, output_dir: str | Path, distributed: bool = True) -> None:
        self._dataset_name = dataset_name
        self._folder = Path(output_dir) / "submission"
        self._distributed = distributed
        self.reset()

    def reset(self) -> None:
        """Forget all predictions."""
        self._labels: dict[Any, np.ndarray] = {}

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Keep the label maps of a batch; see ``ImageEvaluator.process``."""
        for given, output in zip(inputs, outputs, strict=True):
            self._labels[given["image_id"]] = label_map_of(output["instances"].to("cpu"))

    def evaluate(self) -> dict[str, dict[str, float]]:
        """Write the files in the main process; the numbers of images and of leaves in them."""
        parts = gather_parts(self._labels, self._distributed)
        if not parts:
            return {}
        labels = {image_id: found for part in parts for image_id, found in part.items()}
        records = [r for r in DatasetCatalog.get(self._dataset_name) if r["image_id"] in labels]
        formats = FORMATS if find_spec("h5py") else FORMATS[:1]
        with CvpppSubmission(self._folder, formats) as submission:
            leaves = sum(submission.add(r, labels[r["image_id"]]) for r in records)
            submission.finish()
        logger.info("Submission: %s", self._folder)
        return {"cvppp_submission": {"images": float(len(records)), "leaves": float(leaves)}}
