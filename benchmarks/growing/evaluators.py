"""What evaluations cost as images become more."""

from __future__ import annotations

import contextlib
import io
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances
from PIL import Image

from benchmarks.growing.curve import Series, Timing, line
from benchmarks.growing.scenes import CELL, disc_labels
from benchmarks.models import TimedCall
from recseg_d2 import rle
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.catalog import unregister
from recseg_d2.data.sources.instance_ids import LABEL_IDS, STREET_CLASSES
from recseg_d2.evaluation.cityscapes import CityscapesEvaluator
from recseg_d2.evaluation.coco import CocoFileEvaluator
from recseg_d2.evaluation.label_map import LabelMapEvaluator
from recseg_d2.meta_arch.base import make_instances
from recseg_d2.metrics.cityscapes_matching import FIRST_INSTANCE

DATA = "benchmark_growth"
OBJECTS = 4  # of an image, and as many are found
_DIFFERENT = 8  # images, which take turns
PERSON = LABEL_IDS[STREET_CLASSES.index("person")]  # of Cityscapes

Record = dict[str, Any]


@dataclass(frozen=True)
class Evaluated:
    """A made data set, and what a model might have found in it.

    Attributes:
        records: Detectron2's standard dicts, one an image.
        outputs: a model's outputs, which take turns.
    """

    records: list[Record]
    outputs: list[Record]

    def pairs(self) -> Iterator[tuple[Record, Record]]:
        """Each image's dict and output."""
        for k, record in enumerate(self.records):
            yield record, self.outputs[k % len(self.outputs)]


def image_series(images: Sequence[int], side: int, timing: Timing) -> list[Series]:
    """Of evaluations from outputs to scores, by the number of images.

    Args:
        images: how many.
        side: pixels a side of each.
        timing: see ``curve.measured_alone``.
    """
    scores: dict[str, Callable[[Evaluated], object]] = {
        "SBD, DiC of label maps": _score_label_maps,
        "COCO AP": _score_coco,
        "Cityscapes AP": _score_cityscapes,
        "RLEs of what is found": _keep_rles,
    }
    return [
        line("images", name, images, partial(evaluation, score, side), timing)
        for name, score in scores.items()
    ]


def evaluation(score: Callable[[Evaluated], object], side: int, images: int) -> TimedCall:
    """A call that evaluates so many images of ``side`` pixels a side."""
    folder = tempfile.TemporaryDirectory()  # until the call is forgotten
    made = made_data(Path(folder.name), images, max(side, 2 * CELL))

    def call(_: object = folder) -> None:
        with registered(made.records):
            score(made)

    return call


def made_data(folder: Path, images: int, side: int) -> Evaluated:
    """Discs, found where they are but for a pixel; files of ground truth are in the folder."""
    maps = [np.roll(disc_labels(side, OBJECTS), k, axis=0) for k in range(_DIFFERENT)]
    files = [folder / f"made_{k:06d}_000000_gtFine_instanceIds.png" for k in range(_DIFFERENT)]
    for path, labels in zip(files, maps, strict=True):
        ids = np.where(labels > 0, PERSON * FIRST_INSTANCE + labels, 0)
        Image.fromarray(ids.astype(np.uint16)).save(path)
    records = [
        {
            "file_name": str(folder / f"made_{k:06d}_000000_leftImg8bit.png"),
            "image_id": k,
            "height": side,
            "width": side,
            "annotations": label_map_to_annotations(maps[k % _DIFFERENT]),
            "instance_ids_file": str(files[k % _DIFFERENT]),
        }
        for k in range(images)
    ]
    return Evaluated(records, [{"instances": _found(np.roll(m, 1, axis=1))} for m in maps])


def _found(labels: np.ndarray) -> Instances:
    masks = torch.from_numpy(labels) == torch.arange(1, OBJECTS + 1)[:, None, None]
    scores = torch.linspace(0.5, 0.9, OBJECTS)
    return make_instances(masks, scores, torch.zeros(OBJECTS, dtype=torch.int64))


@contextmanager
def registered(records: list[Record]) -> Iterator[None]:
    """Inside, ``DATA`` is a data set of these standard dicts, of one class."""
    DatasetCatalog.register(DATA, lambda: records)
    MetadataCatalog.get(DATA).set(thing_classes=["person"], label_ids=[PERSON])
    try:
        yield
    finally:
        unregister(DATA)


def _score_label_maps(made: Evaluated) -> dict[str, Any]:
    return _evaluate(LabelMapEvaluator(DATA, distributed=False), made)


def _score_cityscapes(made: Evaluated) -> dict[str, Any]:
    return _evaluate(CityscapesEvaluator(DATA, distributed=False), made)


def _score_coco(made: Evaluated) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        return _evaluate(CocoFileEvaluator(DATA, folder, distributed=False), made)


def _evaluate(evaluator: DatasetEvaluator, made: Evaluated) -> dict[str, Any]:
    evaluator.reset()
    for record, output in made.pairs():
        evaluator.process([record], [output])
    return evaluator.evaluate()


def _keep_rles(made: Evaluated) -> list[list[rle.RLE]]:
    return [rle.encode_masks(o["instances"].pred_masks.numpy()) for _, o in made.pairs()]
