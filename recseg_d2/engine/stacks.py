"""Predictions of stacks: slice by slice, with objects linked over the slices.

In the output folder:
    labels/<stem>.tif   label stack, a page a slice, 16 or 32 bits: 0 is background, k the k-th
                        object in all of its slices
    counts.csv          file, count: how many objects each stack has
    measurements.csv    see ``data.formats.volumes``
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile

from recseg_d2.data.formats.measurements import Row
from recseg_d2.data.formats.volumes import measure_volumes
from recseg_d2.data.io.label_maps import LARGEST_LABEL
from recseg_d2.engine.ensembles import EnsemblePredictor
from recseg_d2.engine.outputs import COUNTS, MEASUREMENTS, ImageFiles, Output, SummaryFile
from recseg_d2.engine.predictor import Predictor
from recseg_d2.files import write_whole
from recseg_d2.postprocess import label_map_of
from recseg_d2.postprocess.stacks import link_slices


@dataclass(frozen=True)
class PredictedStack:
    """A stack and what was found in it.

    Attributes:
        path: the stack's file; its stem names the files.
        pages: (P, H, W, C), the stack's own numbers.
        labels: (P, H, W) int32; 0 is background.
        voxel: volume of a voxel in cubic micrometres; None where it is not known.
    """

    path: Path
    pages: np.ndarray
    labels: np.ndarray
    voxel: float | None = None

    @property
    def count(self) -> int:
        """Objects."""
        return int(self.labels.max(initial=0))


def predict_stack(
    predictor: Predictor | EnsemblePredictor, pages: np.ndarray, link_iou: float
) -> np.ndarray:
    """Predict each slice of a stack, and link the objects.

    Args:
        predictor: of any model; its ``batch_size`` slices go through it together.
        pages: (P, H, W, C) as ``ImageReader.read_stack`` returns them.
        link_iou: see ``link_slices``.

    Returns:
        (P, H, W) int32; 0 is background, each object has a number from 1 on.
    """
    return link_slices((label_map_of(instances) for instances in predictor(pages)), link_iou)


def _write_labels(predicted: PredictedStack, path: Path) -> None:
    bits = np.uint16 if predicted.count <= LARGEST_LABEL else np.uint32
    labels = predicted.labels.astype(bits)
    with write_whole(path, "wb", durable=False) as file:
        tifffile.imwrite(
            file, labels, photometric="minisblack", metadata={"axes": "ZYX"}, compression="zlib"
        )


def _measure(predicted: PredictedStack) -> list[Row]:
    return measure_volumes(predicted.path.name, predicted.labels, predicted.pages, predicted.voxel)


STACK_OUTPUTS: dict[str, Output] = {
    "labels": ImageFiles(".tif", _write_labels),
    "counts": COUNTS,
    "measurements": SummaryFile(MEASUREMENTS.name, _measure, MEASUREMENTS.write),
}
