"""Models of this package, by its own command line: ``--config`` names the config; none is a plan.

Runs in the driver's environment.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import recseg_d2  # noqa: F401  (before any detectron2 import)
from benchmarks.peers.peer import (
    MILLISECONDS,
    SCORES,
    SECONDS_A_MINUTE,
    CpuClock,
    Job,
    Peer,
    fit_steps,
    main,
    read_image,
    read_settings,
    write_json,
)


def options(config: str) -> str:
    """What the training command is given: a config, or none, by which the data decide."""
    return f"--config-file {config}" if config else "--fold none"


PEER = Peer(
    title="recseg",
    environment="",
    commands=(
        "recseg train {config} --train-data train OUTPUT_DIR output",
        "recseg predict --weights output --input images --output found",
    ),
    options=options,
)
# Iterations; what the longer run takes more is training alone, with images that were read before.
TIMED_RUNS = (60, 120)
MARGIN = 0.03  # of the time, that is kept free; the number of iterations is fixed before the run
TOLERANCE = 0.05  # of the time, more; the choice of the least score is part of it


def train(job: Job) -> dict[str, Any]:
    """Time two short runs, then train for as many iterations as fit.

    Where later iterations take longer (a curriculum that raises the number of objects), and so
    much that the time is not kept, the model is trained again, with fewer iterations.
    """
    short, long = TIMED_RUNS
    given = job.minutes * SECONDS_A_MINUTE
    # a model that has learnt nothing finds things everywhere, and takes long to choose a score
    nothing = ("TEST.THRESHOLD_IMAGES", 0)
    seconds = [_train(job, count, job.work / "timing", nothing) for count in TIMED_RUNS]
    step_seconds = (seconds[1] - seconds[0]) / (long - short)
    start_seconds = max(0.0, seconds[0] - short * step_seconds)
    spent, steps = math.inf, 0
    while spent > given * (1 + TOLERANCE) and steps != 1:
        steps = fit_steps(given, step_seconds, MARGIN)
        wall = time.perf_counter()
        spent = _train(job, steps, job.work / "run") - start_seconds
        wall_minutes = (time.perf_counter() - wall) / SECONDS_A_MINUTE
        step_seconds = spent / steps
    return {"cpu_minutes": spent / SECONDS_A_MINUTE, "wall_minutes": wall_minutes, "steps": steps}


def _train(job: Job, iterations: int, output: Path, more: tuple[Any, ...] = ()) -> float:
    """CPU seconds of a run of the training command."""
    shutil.rmtree(output, ignore_errors=True)
    own = {
        "SEED": job.seed,
        "SOLVER.MAX_ITER": iterations,
        "SOLVER.CHECKPOINT_PERIOD": iterations,
        "MODEL.DEVICE": "cpu",
        "OUTPUT_DIR": output,
    }
    data = [*options(job.config).split(), "--train-data", str(job.train)]
    before = _children_seconds()
    pairs = [*(part for pair in own.items() for part in pair), *more]
    _recseg("train", *data, *map(str, pairs))
    return _children_seconds() - before


def predict(args: argparse.Namespace) -> dict[str, Any]:
    """Label maps by the prediction command; the time by Detectron2's predictor."""
    found = args.output / "found"
    weights = args.work / "run"
    _recseg("predict", "--weights", weights, "--input", args.images, "--output", found,
            "--no-overlays")  # fmt: skip
    scores: dict[str, list[float]] = {path.stem: [] for path in args.images.glob("*.png")}
    for entry in json.loads((found / "predictions.json").read_text()):
        scores[entry["image_id"]].append(entry["score"])
    for number in range(len(read_settings(args.settings))):  # it has no thresholds to set
        folder = args.output / str(number)
        shutil.copytree(found / "labels", folder, dirs_exist_ok=True)
        write_json(folder / SCORES, scores)
    return {**_timing(weights, args.images, args.threads), "threads": args.threads}


def _timing(weights: Path, images: Path, threads: int) -> dict[str, float]:
    """Parameters, and the median milliseconds of an image at a time, read already."""
    import torch
    from detectron2.engine import DefaultPredictor

    from recseg_d2.config import get_recseg_cfg

    torch.set_num_threads(threads)
    cfg = get_recseg_cfg()
    cfg.merge_from_file(str(weights / "config.yaml"))
    cfg.MODEL.WEIGHTS = str(weights / "model_final.pth")
    predictor = DefaultPredictor(cfg)
    pixels = [read_image(path)[:, :, ::-1] for path in sorted(images.glob("*.png"))]
    predictor(pixels[0])
    cpu, wall = [], []
    for image in pixels:
        clock = CpuClock()
        predictor(image)
        record = clock.record()
        cpu.append(record["cpu_minutes"])
        wall.append(record["wall_minutes"])
    factor = SECONDS_A_MINUTE * MILLISECONDS
    return {
        "cpu_ms": factor * statistics.median(cpu),
        "wall_ms": factor * statistics.median(wall),
        "parameters": sum(p.numel() for p in predictor.model.parameters()),
    }


def _recseg(*arguments: str | Path) -> None:
    subprocess.run([sys.executable, "-m", "recseg_d2.cli", *map(str, arguments)], check=True)


def _children_seconds() -> float:
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


if __name__ == "__main__":
    main(train, predict)
