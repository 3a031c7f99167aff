"""What the scripts of all peers share; it imports what every environment has.

A peer's script runs in the peer's own environment, always with the same two commands:

    python -m benchmarks.peers.yolo train --train DIR --minutes M --threads T --seed S --work DIR
    python -m benchmarks.peers.yolo predict --work DIR --images DIR --output DIR --threads T

``train`` leaves a model and ``training.json`` in the work folder. ``predict`` writes, for each
of the settings in the JSON file that --settings names, a folder 0/, 1/, ... with a 16-bit label map
<stem>.png an image and ``scores.json`` ({stem: [score of label 1, of label 2, ...]}), and beside
them ``prediction.json``: milliseconds an image and parameters.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

TRAINING, PREDICTION, SCORES = "training.json", "prediction.json", "scores.json"
SECONDS_A_MINUTE, MILLISECONDS = 60.0, 1000.0

Settings = dict[str, float]
Found = tuple[np.ndarray, list[float]]  # label map (H, W), score of label 1, of label 2, ...


@dataclass(frozen=True)
class Peer:
    """What the driver knows of a peer without its environment.

    Attributes:
        title: in tables.
        environment: folder name of its virtual environment; "" is the driver's own.
        commands: what a user of it types from a labelled folder to label maps, one command a line.
        thresholds: values to choose from on training images, by name of the setting.
        ranking: settings that replace the chosen ones where AP is measured, such that detections
            of low score are there as well.
        options: of a config, what stands for ``{config}`` in the commands.
    """

    title: str
    environment: str
    commands: tuple[str, ...]
    thresholds: dict[str, tuple[float, ...]] = field(default_factory=dict)
    ranking: Settings = field(default_factory=dict)
    options: Callable[[str], str] = str


@dataclass(frozen=True)
class Job:
    """What a peer is asked to train.

    Attributes:
        train: folder with images/ and labels/.
        work: folder for the model.
        minutes: CPU minutes for the training loop, of all threads together.
        threads: of the CPU.
        seed: of the run.
        config: name of a config, for scripts that train more than one model.
    """

    train: Path
    work: Path
    minutes: float
    threads: int
    seed: int
    config: str = ""


class Finder(Protocol):
    """A trained model."""

    parameters: int

    def find(self, image: np.ndarray, settings: Sequence[Settings]) -> list[Found]:
        """Objects of an image (H, W, 3) uint8 RGB, once for each of the settings."""
        ...


class CpuClock:
    """CPU time of this process, all threads together, and how much of it is left.

    Args:
        minutes: the time given.
    """

    def __init__(self, minutes: float = math.inf) -> None:
        self._limit = minutes * SECONDS_A_MINUTE
        self.start()

    def start(self) -> None:
        """Count from now on."""
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    @property
    def seconds(self) -> float:
        """CPU seconds since the start."""
        return time.process_time() - self._cpu

    @property
    def progress(self) -> float:
        """Share of the time given that is spent; 1 where all of it is."""
        return min(1.0, self.seconds / self._limit)

    def record(self) -> dict[str, float]:
        """What went into ``training.json``: minutes since the start."""
        wall = time.perf_counter() - self._wall
        return {
            "cpu_minutes": self.seconds / SECONDS_A_MINUTE,
            "wall_minutes": wall / SECONDS_A_MINUTE,
        }


def fit_steps(seconds: float, step_seconds: float, margin: float) -> int:
    """How many steps fit into a time.

    Args:
        seconds: the time given.
        step_seconds: what a step takes, above 0.
        margin: share of the time to leave unused, in case later steps take longer.

    Returns:
        At least 1.
    """
    return max(1, int(seconds * (1 - margin) / step_seconds))


def warm_then_cosine(progress: float, warm_up: float = 0.05, final: float = 0.01) -> float:
    """Factor of the learning rate: a linear warm-up, then half a cosine down to ``final``.

    Args:
        progress: share of the training that is done, in [0, 1].
        warm_up: share of the training for which it rises.
        final: factor at the end.
    """
    if progress < warm_up:
        return progress / warm_up
    fall = (progress - warm_up) / (1 - warm_up)
    return final + (1 - final) * 0.5 * (1 + math.cos(math.pi * fall))


def read_image(path: Path) -> np.ndarray:
    """(H, W, 3) uint8 RGB."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def read_pairs(folder: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Images (H, W, 3) uint8 and label maps (H, W) int32 of a folder, sorted by name."""
    pairs = []
    for path in sorted((folder / "images").glob("*.png")):
        with Image.open(folder / "labels" / path.name) as labels:
            pairs.append((read_image(path), np.asarray(labels).astype(np.int32)))
    return pairs


def paint(masks: np.ndarray, scores: np.ndarray) -> Found:
    """A label map of masks that may overlap: of two, the higher score owns the pixel.

    Args:
        masks: (N, H, W) bool.
        scores: (N,).

    Returns:
        Labels 1, 2, ... by descending score, and the score of each. Masks of which nothing is left
        have no label.
    """
    labels = np.zeros(masks.shape[1:], np.int32)
    kept: list[float] = []
    for k in np.argsort(-scores, kind="stable"):
        free = masks[k] & (labels == 0)
        if free.any():
            kept.append(float(scores[k]))
            labels[free] = len(kept)
    return labels, kept


def sweep(
    detect: Callable[[float, float], tuple[np.ndarray, np.ndarray]], settings: Sequence[Settings]
) -> list[Found]:
    """What a detector finds for each of the settings "score" and "nms", in few calls.

    Suppression goes by descending score, so what is below a threshold can be left out before or
    after it.

    Args:
        detect: from the lowest score and the IoU of suppression to masks (N, H, W) bool and scores.
        settings: with these two thresholds.
    """
    lowest: dict[float, float] = {}
    for one in settings:
        lowest[one["nms"]] = min(one["score"], lowest.get(one["nms"], one["score"]))
    detections = {nms: detect(score, nms) for nms, score in lowest.items()}
    found = []
    for one in settings:
        masks, scores = detections[one["nms"]]
        kept = scores >= one["score"]
        found.append(paint(masks[kept], scores[kept]))
    return found


def main(
    train: Callable[[Job], dict[str, Any]],
    predict: Callable[[argparse.Namespace], dict[str, Any]],
    argv: Sequence[str] | None = None,
) -> None:
    """Run a peer's script.

    Args:
        train: trains and leaves the model in ``job.work``; what it returns is written there.
        predict: writes label maps and scores; what it returns is written beside them.
        argv: the command line without the script's name.
    """
    args = _parser().parse_args(argv)
    if args.command == "train":
        args.work.mkdir(parents=True, exist_ok=True)
        job = Job(args.train, args.work, args.minutes, args.threads, args.seed, args.config)
        record = {"minutes": job.minutes, "threads": job.threads, "seed": job.seed, **train(job)}
        write_json(args.work / TRAINING, record)
    else:
        write_json(args.output / PREDICTION, predict(args))


def predict_with(load: Callable[[Path, int], Finder]) -> Callable[[argparse.Namespace], dict]:
    """The ``predict`` of a peer from a function of work folder and threads that loads its model."""

    def predict(args: argparse.Namespace) -> dict[str, Any]:
        settings = read_settings(args.settings)
        finder = load(args.work, args.threads)
        milliseconds = _find_all(finder, args.images, args.output, settings)
        return {**milliseconds, "threads": args.threads, "parameters": finder.parameters}

    return predict


def read_settings(path: Path | None) -> list[Settings]:
    """The settings that --settings names; one without any where it is missing."""
    return json.loads(path.read_text()) if path else [{}]


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file; its folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _find_all(
    finder: Finder, images: Path, output: Path, settings: Sequence[Settings]
) -> dict[str, float]:
    """Write what is found in all images; the median milliseconds an image."""
    paths = sorted(images.glob("*.png"))
    finder.find(read_image(paths[0]), settings)  # the first call builds and allocates
    scores: list[dict[str, list[float]]] = [{} for _ in settings]
    cpu, wall = [], []
    for number in range(len(settings)):
        (output / str(number)).mkdir(parents=True, exist_ok=True)
    for path in paths:
        image = read_image(path)
        clock = CpuClock()
        found = finder.find(image, settings)
        record = clock.record()
        cpu.append(record["cpu_minutes"])
        wall.append(record["wall_minutes"])
        for number, (labels, of_labels) in enumerate(found):
            Image.fromarray(labels.astype(np.uint16)).save(output / str(number) / path.name)
            scores[number][path.stem] = [float(score) for score in of_labels]
    for number, of_images in enumerate(scores):
        write_json(output / str(number) / SCORES, of_images)
    factor = SECONDS_A_MINUTE * MILLISECONDS
    return {
        "cpu_ms": factor * statistics.median(cpu),
        "wall_ms": factor * statistics.median(wall),
    }


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("--train", type=Path, required=True, help="has images/ and labels/")
    train.add_argument("--minutes", type=float, required=True, help="of CPU time")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--config", default="", help="for scripts with more than one model")
    predict = commands.add_parser("predict")
    predict.add_argument("--images", type=Path, required=True)
    predict.add_argument("--output", type=Path, required=True)
    predict.add_argument("--settings", type=Path, help="a JSON list of thresholds by name")
    for command in (train, predict):
        command.add_argument("--work", type=Path, required=True, help="where the model is")
        command.add_argument("--threads", type=int, default=1)
    return parser
