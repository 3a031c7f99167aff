"""Time scores of label maps and COCO's average precision, beside other ways to the same numbers.

Label maps: SBD and coverage of an image come from one table of shared pixels; beside it is the loop
over all pairs of objects, as the leaf challenge's script has it. COCO: what the evaluator "coco"
uses (pycocotools), beside faster-coco-eval where that is installed. Cityscapes' scores are timed by
``run.py --cityscapes-ap``. Data are made; equal numbers are part of each row.

Examples:
    python benchmarks/evaluation.py
    python benchmarks/evaluation.py --objects 20 --image-size 500 530 --coco-images 500
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import io
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))  # for tests/reference
sys.path.insert(0, str(ROOT))

import recseg_d2  # noqa: F401  (comes before any detectron2 import)

# isort: split
import numpy as np
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tabulate import tabulate

from benchmarks.models import interleaved_seconds
from recseg_d2 import rle
from recseg_d2.cli import run
from recseg_d2.errors import UserError
from recseg_d2.files import save_scores
from recseg_d2.metrics import score_image

COCO_OBJECTS = 7  # in an image, about COCO's
COCO_DETECTIONS = 20  # of an image
COCO_SHAPE = (480, 640)
COCO_CLASSES = 80
LABEL_MAP_SCORES = ("sbd", "mwcov", "mucov")
Row = dict[str, Any]


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--objects", type=int, default=20, metavar="N", help="of a label map")
    parser.add_argument(
        "--image-size", nargs=2, type=int, default=[500, 530], metavar=("H", "W"), help="its pixels"
    )
    parser.add_argument("--coco-images", type=int, default=500, metavar="N", help="of COCO's AP")
    parser.add_argument("--repeats", type=int, default=5, metavar="N", help="the median counts")
    parser.add_argument("--output", metavar="FILE", help="write the numbers as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print a table."""
    args = build_parser().parse_args(argv)
    numbers = (args.objects, *args.image_size, args.coco_images, args.repeats)
    if min(numbers) < 1:
        raise UserError(f"Options are {', '.join(map(str, numbers))}; expected 1 or more of each.")
    rng = np.random.default_rng(0)
    one, other = (made_label_map(rng, args.objects, args.image_size) for _ in range(2))
    rows = label_map_rows(one, other, args.repeats)
    rows += coco_rows(made_coco(rng, args.coco_images), args.repeats)
    print(tabulate(rows, headers="keys", floatfmt=".4f", missingval="-"))
    if args.output:
        save_scores(args.output, rows)
    return 0


def made_label_map(rng: np.random.Generator, objects: int, size: Sequence[int]) -> np.ndarray:
    """(H, W) int32 of ellipses on each other."""
    y, x = np.ogrid[: size[0], : size[1]]
    labels = np.zeros(tuple(size), np.int32)
    for label in range(1, objects + 1):
        centre, radii = rng.random(2) * size, (0.05 + 0.1 * rng.random(2)) * min(size)
        labels[((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1] = label
    return labels


def label_map_rows(prediction: np.ndarray, truth: np.ndarray, repeats: int) -> list[Row]:
    """Of this package, and of the loop over pairs."""
    return _rows(
        "SBD, MWCov, MUCov",
        {
            "this package": partial(score_image, prediction, truth, LABEL_MAP_SCORES),
            "loop over pairs": partial(loop_scores, prediction, truth),
        },
        repeats,
    )


def loop_scores(prediction: np.ndarray, truth: np.ndarray) -> dict[str, float]:
    """The same scores, each pair of masks compared for itself."""
    a, b = ([labels == k for k in np.unique(labels[labels > 0])] for labels in (prediction, truth))
    dice = np.array([[2 * (p & t).sum() / (p.sum() + t.sum()) for t in b] for p in a])
    iou = np.array([[(p & t).sum() / (p | t).sum() for t in b] for p in a]).max(axis=0)
    areas = np.array([t.sum() for t in b])
    sbd = min(dice.max(axis=1).mean(), dice.max(axis=0).mean())
    shares = {"SBD": sbd, "MWCov": (iou * areas).sum() / areas.sum(), "MUCov": iou.mean()}
    return {name: 100 * float(value) for name, value in shares.items()}


def made_coco(rng: np.random.Generator, images: int) -> tuple[Row, list[Row]]:
    """A COCO file of ellipses, and detections near them."""
    truth: list[Row] = []
    found: list[Row] = []
    for image in range(1, images + 1):
        for _ in range(COCO_OBJECTS):
            category = int(rng.integers(1, COCO_CLASSES + 1))
            centre, radii = rng.random(2) * COCO_SHAPE, 10 + 70 * rng.random(2)
            mask = _ellipse(centre, radii)
            annotation = {"id": len(truth) + 1, "image_id": image, "category_id": category}
            box = rle.boxes([mask])[0]
            area = int(rle.areas([mask])[0])
            truth.append(
                {**annotation, "iscrowd": 0, "area": area, "bbox": box, "segmentation": mask}
            )
            for _ in range(COCO_DETECTIONS // COCO_OBJECTS):
                near = _ellipse(centre + rng.normal(0, 6, 2), radii * rng.uniform(0.8, 1.2, 2))
                detection = {"image_id": image, "category_id": category}
                found.append({**detection, "segmentation": near, "score": float(rng.random())})
    height, width = COCO_SHAPE
    described = [{"id": i, "height": height, "width": width} for i in range(1, images + 1)]
    categories = [{"id": i, "name": str(i)} for i in range(1, COCO_CLASSES + 1)]
    return {"images": described, "categories": categories, "annotations": truth}, found


def _ellipse(centre: np.ndarray, radii: np.ndarray) -> Any:
    y, x = np.ogrid[: COCO_SHAPE[0], : COCO_SHAPE[1]]
    inside = ((y - centre[0]) / radii[0]) ** 2 + ((x - centre[1]) / radii[1]) ** 2 < 1
    return rle.encode(inside)


def coco_rows(data: tuple[Row, list[Row]], repeats: int) -> list[Row]:
    """Of what the evaluator uses, and of faster-coco-eval."""
    versions = {"pycocotools": partial(coco_scores, COCO, COCOeval, *data)}
    if importlib.util.find_spec("faster_coco_eval"):
        faster = importlib.import_module("faster_coco_eval")
        versions["faster-coco-eval"] = partial(
            coco_scores, faster.COCO, faster.COCOeval_faster, *data
        )
    return _rows("COCO AP of masks", versions, repeats)


def coco_scores(dataset: Any, evaluation: Any, truth: Row, found: list[Row]) -> dict[str, float]:
    """AP, AP50 and AP75 of masks in 0..100."""
    with contextlib.redirect_stdout(io.StringIO()):
        known = dataset()
        known.dataset = truth
        known.createIndex()
        measured = evaluation(known, known.loadRes([dict(x) for x in found]), "segm")
        measured.evaluate()
        measured.accumulate()
        measured.summarize()
    return {name: 100 * float(measured.stats[i]) for i, name in enumerate(("AP", "AP50", "AP75"))}


def _rows(
    what: str, versions: Mapping[str, Callable[[], dict[str, float]]], repeats: int
) -> list[Row]:
    seconds = interleaved_seconds(versions, repeats, torch.device("cpu"))
    first = next(iter(versions))
    expected = versions[first]()
    return [
        {
            "scores": what,
            "version": name,
            "seconds": seconds[name],
            f"times {first}": seconds[first] / seconds[name],
            "equal": _apart(score(), expected) < 1e-6,
            **expected,
        }
        for name, score in versions.items()
    ]


def _apart(one: dict[str, float], other: dict[str, float]) -> float:
    return max(abs(one[name] - other[name]) for name in other)


if __name__ == "__main__":
    sys.exit(run(main))
