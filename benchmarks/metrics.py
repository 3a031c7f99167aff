"""How fast Cityscapes AP is, beside the official scripts on the same files.

Made scenes are written in the official formats, ground truth and submission; both sides read them
and compute all numbers, the official ones by the package ``cityscapesscripts`` where it is
installed. Both report their AP too, so that speed is never compared at unequal results.
"""

from __future__ import annotations

import copy
import importlib
import importlib.util
import tempfile
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.models import interleaved_seconds
from recseg_d2.data.sources.instance_ids import LABEL_IDS, STREET_CLASSES, read_instance_ids
from recseg_d2.evaluation.cityscapes import match_files
from recseg_d2.evaluation.cityscapes_results import write_submission
from recseg_d2.files import make_folder
from recseg_d2.metrics.cityscapes_ap import summarize
from recseg_d2.metrics.cityscapes_matching import FIRST_INSTANCE, read_scene

SHAPE = (1024, 2048)  # of Cityscapes
OBJECTS = 25  # in an image; Cityscapes has about 20
MOST_PREDICTIONS = 4  # of an object; some 50 predictions an image are usual
# Of the eight classes in Cityscapes' training set, about.
_FREQUENCIES = (0.34, 0.03, 0.52, 0.01, 0.01, 0.0, 0.02, 0.07)
_OFFICIAL = "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling"
_OFFICIAL_INSTANCES = "cityscapesscripts.evaluation.instances2dict"


@dataclass(frozen=True)
class SceneFiles:
    """A made image: its instance ids and its list of predictions."""

    truth: Path
    submission: Path


def metric_rows(images: int, repeats: int) -> list[dict[str, Any]]:
    """Rows of a table: seconds from files to scores of this package and of the official scripts.

    Args:
        images: how many are made; the seconds are for all.
        repeats: the median of so many runs counts, after one that does not.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = make_scenes(folder, images)
        versions = {"this package": our_scores}
        if official_is_installed():
            versions["cityscapesscripts"] = official_scores
        steps = {name: partial(score, files) for name, score in versions.items()}
        seconds = interleaved_seconds(steps, repeats, torch.device("cpu"))
        slowest = seconds.get("cityscapesscripts")
        return [
            {
                "metric": "Cityscapes AP",
                "version": name,
                "images": images,
                "seconds": seconds[name],
                "times official": None if slowest is None else slowest / seconds[name],
                "AP": 100 * score(files)["average"],
            }
            for name, score in versions.items()
        ]


def make_scenes(folder: str | Path, images: int, seed: int = 0) -> list[SceneFiles]:
    """Write street-like scenes of boxes, each object predicted about right, up to four times.

    Raises:
        UserError: the folder cannot be written into.
    """
    folder = make_folder(folder)
    rng = np.random.default_rng(seed)
    return [_make_scene(folder, f"made_{index:06d}_000000", rng) for index in range(images)]


def our_scores(files: list[SceneFiles]) -> dict[str, float]:
    """AP of each class and their "average", in [0, 1], by this package."""
    images = [
        match_files(read_scene(read_instance_ids(f.truth), LABEL_IDS), f.submission, LABEL_IDS)
        for f in files
    ]
    scores = summarize(images, dict(zip(STREET_CLASSES, LABEL_IDS, strict=True)))
    return {name: numbers["AP"] for name, numbers in scores.items()}


def official_scores(files: list[SceneFiles]) -> dict[str, float]:
    """The same by the official scripts, which have to be installed."""
    results = official_results(files)
    scores = {name: float(numbers["ap"]) for name, numbers in results["classes"].items()}
    return scores | {"average": float(results["allAp"])}


def official_is_installed() -> bool:
    """Whether the package ``cityscapesscripts`` can be imported."""
    return importlib.util.find_spec("cityscapesscripts") is not None


def official_results(
    files: list[SceneFiles], distances: dict[str, dict[int, tuple[float, float]]] | None = None
) -> dict[str, Any]:
    """What the official scripts say of files.

    Args:
        files: truth and list of each image; masks are in the list's folder.
        distances: median metres and density by instance id, by the truth's path; the scripts do
            not compute them. None leaves the numbers by distance out.

    Returns:
        The scripts' averages: "allAp", ..., and "classes".
    """
    with warnings.catch_warnings():  # the scripts use old names of numpy, and means of nothing
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        return _run_official(files, distances)


def _run_official(
    files: list[SceneFiles], distances: dict[str, dict[int, tuple[float, float]]] | None
) -> dict[str, Any]:
    script = importlib.import_module(_OFFICIAL)
    instances_of = importlib.import_module(_OFFICIAL_INSTANCES).instances2dict
    options = copy.copy(script.args)
    options.quiet, options.distanceAvailable = True, distances is not None
    options.predictionPath = str(files[0].submission.parent.resolve())
    script.setInstanceLabels(options)
    truths = [str(f.truth.resolve()) for f in files]
    instances = instances_of(truths, False)
    for path, by_id in (distances or {}).items():
        for instance in (i for group in instances[path].values() for i in group):
            if instance["instID"] in by_id:
                instance["medDist"], instance["distConf"] = by_id[instance["instID"]]
    lists = [str(f.submission.resolve()) for f in files]
    matches = script.matchGtWithPreds(lists, truths, instances, options)
    return script.computeAverages(script.evaluateMatches(matches, options), options)


def _make_scene(folder: Path, name: str, rng: np.random.Generator) -> SceneFiles:
    height, _ = SHAPE
    ids = np.full(SHAPE, 7, dtype=np.uint16)  # road
    ids[-height // 10 :] = 1  # the own vehicle, void
    labels, scores, masks = [], [], []
    for number in range(OBJECTS):
        label = int(rng.choice(LABEL_IDS, p=_FREQUENCIES))
        size = rng.integers(20, 200, 2)
        top, left = (int(rng.integers(0, n - s)) for n, s in zip(SHAPE, size, strict=True))
        ids[top : top + size[0], left : left + size[1]] = label * FIRST_INSTANCE + number
        for _ in range(int(rng.integers(0, MOST_PREDICTIONS + 1))):
            shift = rng.integers(-8, 9, 2)
            mask = np.zeros(SHAPE, dtype=bool)
            y, x = max(0, top + shift[0]), max(0, left + shift[1])
            mask[y : y + size[0], x : x + size[1]] = True
            labels.append(label)
            scores.append(float(rng.random()))
            masks.append(mask)
    truth = folder / f"{name}_gtFine_instanceIds.png"
    Image.fromarray(ids).save(truth)
    return SceneFiles(truth, write_submission(folder, name, labels, scores, masks))
