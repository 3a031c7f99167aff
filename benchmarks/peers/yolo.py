"""YOLO11n-seg of Ultralytics, from its yaml, without pretrained weights.

Images larger than the training size are cut into tiles, so that objects keep their size, and are
predicted as a whole.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.peers.peer import (
    SECONDS_A_MINUTE,
    CpuClock,
    Found,
    Job,
    Peer,
    Settings,
    main,
    predict_with,
    read_image,
    read_pairs,
    sweep,
)
from benchmarks.peers.polygons import tiles, without_pieces, yolo_lines

PEER = Peer(
    title="YOLO11n-seg",
    environment="torch",
    commands=(
        "python label_maps_to_yolo.py train dataset  # your own: polygons and data.yaml",
        "yolo segment train model=yolo11n-seg.yaml data=dataset/data.yaml imgsz=256 batch=4 nbs=4 "
        "flipud=0.5 optimizer=AdamW lr0=0.002 momentum=0.9 warmup_bias_lr=0 time=0.5",
        "yolo segment predict model=runs/segment/train/weights/last.pt source=images "
        "conf=0.3 iou=0.5 max_det=1000 retina_masks=True",
    ),
    thresholds={
        "score": (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7),
        "nms": (0.3, 0.5, 0.7),
    },
    ranking={"score": 0.01},
)
STRIDE, MIN_SIZE = 32, 128  # pixels; sides are multiples of the stride
BATCH = 4  # also the nominal batch: an optimiser's step at each, as there are few of them
MAX_OBJECTS = 1000
WARM_UP = 300  # steps at most: its 3 epochs can be all of the time
# What its "auto" takes for up to 10,000 steps. It expects more of large data, whatever the time is,
# and takes an optimiser whose bfloat16 products need seconds a step where the CPU has none.
OPTIMIZER = {"optimizer": "AdamW", "lr0": 0.002, "momentum": 0.9, "warmup_bias_lr": 0.0}
OFF = {"val": False, "plots": False, "amp": False, "save": False, "verbose": False, "workers": 0}


def train(job: Job) -> dict[str, Any]:
    """Train for the time given; the learning rate falls to its end with the time."""
    from ultralytics.engine import trainer as engine
    from ultralytics.models.yolo.segment import SegmentationTrainer
    from ultralytics.utils import torch_utils

    class Trainer(SegmentationTrainer):
        def _get_warmup_iterations(self, num_batches: int) -> int:
            return min(super()._get_warmup_iterations(num_batches), WARM_UP)

        def validate(self) -> tuple[dict[str, float], float]:
            return {}, 0.0  # nothing is chosen by a validation set

        def final_eval(self) -> None:
            pass

    torch_utils.NUM_THREADS = job.threads  # else its own choice for the machine
    size, data = prepare(job.train)
    clock, steps = CpuClock(), []
    # Its option `time` ends the schedule with a wall clock: here with the clock of the CPU.
    engine.time = SimpleNamespace(time=lambda: clock.seconds)
    overrides = {
        "model": "yolo11n-seg.yaml", "data": str(data), "pretrained": False, "imgsz": size,
        "batch": BATCH, "nbs": BATCH, "flipud": 0.5, "seed": job.seed, "device": "cpu",
        "time": job.minutes / 60, "cache": "ram", "project": str(job.work.resolve()),
        "name": "run", "exist_ok": True, **OPTIMIZER, **OFF,
    }  # fmt: skip
    trainer = Trainer(overrides=overrides)
    trainer.add_callback("on_pretrain_routine_end", lambda _: clock.start())
    given = job.minutes * SECONDS_A_MINUTE
    trainer.add_callback("on_train_batch_start", lambda t: set_rate(t, clock.seconds / given))
    trainer.add_callback("on_train_batch_end", lambda _: steps.append(clock.seconds))
    trainer.train()
    record = clock.record()
    trainer.save_model()
    (job.work / "yolo.json").write_text(json.dumps({"imgsz": size}))
    return {**record, "steps": len(steps), "batch": BATCH, "imgsz": size, "epochs": trainer.epochs}


def set_rate(trainer: Any, share: float) -> None:
    """Let the rate fall in a line with the time, which may end within an epoch.

    Its own schedule does so once an epoch. Its warm-up, which comes after this, has its own rates.

    Args:
        trainer: Ultralytics'.
        share: of the time that is over, 0 to 1.
    """
    least = trainer.args.lrf
    for group in trainer.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * (max(1 - share, 0) * (1 - least) + least)


class YoloFinder:
    """The model after its last step (its moving average).

    Args:
        weights: checkpoint.
        size: side in pixels that smaller images are enlarged to.
        threads: of the CPU.
    """

    def __init__(self, weights: Path, size: int, threads: int) -> None:
        from ultralytics import YOLO
        from ultralytics.utils import torch_utils

        torch_utils.NUM_THREADS = threads
        self.model, self.size = YOLO(weights), size
        self.parameters = sum(p.numel() for p in self.model.model.parameters())

    def find(self, image: np.ndarray, settings: Sequence[Settings]) -> list[Found]:
        """See ``peer.Finder``."""
        return sweep(partial(self._detect, image), settings)

    def _detect(self, image: np.ndarray, score: float, nms: float) -> tuple[np.ndarray, np.ndarray]:
        result = self.model.predict(
            np.ascontiguousarray(image[:, :, ::-1]),
            imgsz=max(self.size, _multiple(max(image.shape[:2]))),
            conf=score,
            iou=nms,
            max_det=MAX_OBJECTS,
            retina_masks=True,
            device="cpu",
            verbose=False,
        )[0]
        if result.masks is None:
            return np.zeros((0, *image.shape[:2]), bool), np.zeros(0)
        return result.masks.data.numpy() > 0.5, result.boxes.conf.numpy()


def load(work: Path, threads: int) -> YoloFinder:
    """The model that ``train`` left."""
    size = json.loads((work / "yolo.json").read_text())["imgsz"]
    return YoloFinder(work / "run" / "weights" / "last.pt", size, threads)


def prepare(train: Path) -> tuple[int, Path]:
    """Write the data as YOLO reads it into ``train``/yolo, unless it is there.

    Returns:
        The side of training images in pixels, and data.yaml.
    """
    folder = train / "yolo"
    data = folder / "data.yaml"
    paths = sorted((train / "images").glob("*.png"))
    size = training_size([read_image(path).shape[:2] for path in paths])
    if not data.is_file():
        for part in ("images", "labels"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        for path, (image, labels) in zip(paths, read_pairs(train), strict=True):
            _write_tiles(folder, path.stem, image, labels, size)
        places = f"path: {folder.resolve()}\ntrain: images\nval: images\n"
        data.write_text(f"{places}names: {{0: object}}\n")
    return size, data


def training_size(shapes: Sequence[tuple[int, int]]) -> int:
    """The median longer side of the images, as a multiple of the stride, at least ``MIN_SIZE``."""
    return max(MIN_SIZE, _multiple(float(np.median([max(shape) for shape in shapes]))))


def _multiple(length: float) -> int:
    return STRIDE * math.ceil(length / STRIDE)


def _write_tiles(folder: Path, stem: str, image: np.ndarray, labels: np.ndarray, size: int) -> None:
    windows = tiles(labels.shape, size)
    for number, window in enumerate(windows):
        part = labels[window] if len(windows) == 1 else without_pieces(labels[window])
        Image.fromarray(image[window]).save(folder / "images" / f"{stem}_{number}.png")
        text = "".join(f"{line}\n" for line in yolo_lines(part))
        (folder / "labels" / f"{stem}_{number}.txt").write_text(text)


if __name__ == "__main__":
    main(train, predict_with(load))
