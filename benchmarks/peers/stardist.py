"""StarDist in two dimensions: star-convex polygons of 32 rays."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import (
    CpuClock,
    Found,
    Job,
    Peer,
    Settings,
    main,
    predict_with,
    read_pairs,
    warm_then_cosine,
)

PEER = Peer(
    title="StarDist",
    environment="stardist",
    commands=("python train_stardist.py  # your own, after its example notebooks",),
    thresholds={
        "score": (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8),
        "nms": (0.3, 0.4, 0.5),
    },
    ranking={"score": 0.1},
)
RAYS, GRID = 32, (2, 2)
PATCH, MULTIPLE = 256, 16  # pixels; sides of patches are multiples, as the network halves them
LEARNING_RATE, BATCH = 3e-4, 4  # its defaults
VALIDATION_PATCHES = 4  # it insists on some; they choose nothing
MANY = 1_000_000  # steps; the clock ends the training
PERCENTILES = (1, 99.8)
NAME = "stardist"


def train(job: Job) -> dict[str, Any]:
    """Its own training, with a learning rate that falls to its end with the time."""
    _set_threads(job.threads)
    import keras
    from csbdeep.utils import normalize
    from stardist import fill_label_holes
    from stardist.models import Config2D, StarDist2D

    keras.utils.set_random_seed(job.seed)
    pairs = read_pairs(job.train)
    images = [normalize(image, *PERCENTILES, axis=(0, 1)) for image, _ in pairs]
    labels = [fill_label_holes(labels) for _, labels in pairs]
    side = patch_size([array.shape for array in labels])
    config = Config2D(
        n_rays=RAYS,
        grid=GRID,
        n_channel_in=3,
        train_patch_size=(side, side),
        train_batch_size=BATCH,
        train_learning_rate=LEARNING_RATE,
        train_reduce_lr=None,  # waits for 40 epochs without progress
        train_tensorboard=False,
        train_checkpoint=None,  # the last weights count, not the best ones
        train_checkpoint_epoch=None,
        train_n_val_patches=VALIDATION_PATCHES,
    )
    model = StarDist2D(config, name=NAME, basedir=str(job.work))
    model.prepare_for_training()
    clock = CpuClock(job.minutes)
    schedule = _schedule(clock)
    model.callbacks.append(schedule)
    rng = np.random.default_rng(job.seed)
    model.train(
        images,
        labels,
        validation_data=(images[:VALIDATION_PATCHES], labels[:VALIDATION_PATCHES]),
        augmenter=lambda image, label_map: augment(rng, image, label_map),
        seed=job.seed,
        epochs=1,
        steps_per_epoch=MANY,
    )
    return {**schedule.record, "steps": schedule.steps, "batch": BATCH, "patch": side}


def patch_size(shapes: Sequence[tuple[int, ...]]) -> int:
    """The largest side of patches that the smallest image has room for, at most ``PATCH``."""
    return min(PATCH, min(min(shape) for shape in shapes) // MULTIPLE * MULTIPLE)


def augment(
    rng: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Flips, quarter turns, intensity and noise, as StarDist's example notebooks have them.

    Args:
        rng: where the draw comes from.
        image: (H, W, 3) float32, normalised.
        labels: (H, W) integers; H = W.
    """
    turns = int(rng.integers(4))
    image, labels = np.rot90(image, turns), np.rot90(labels, turns)
    if rng.integers(2):
        image, labels = image[:, ::-1], labels[:, ::-1]
    image = image * rng.uniform(0.6, 2) + rng.uniform(-0.2, 0.2)
    return image + 0.02 * rng.uniform() * rng.normal(0, 1, image.shape), labels


def _schedule(clock: CpuClock) -> Any:
    """A callback that sets the learning rate by the clock, and stops when the time is over."""
    import keras

    class Schedule(keras.callbacks.Callback):
        steps = 0

        def on_train_begin(self, logs: Any = None) -> None:
            clock.start()

        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            factor = warm_then_cosine(clock.progress)
            self.model.optimizer.learning_rate = LEARNING_RATE * factor

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            self.steps += 1
            if clock.progress >= 1:
                self.record = clock.record()
                self.model.stop_training = True

    return Schedule()


def _set_threads(threads: int) -> None:
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)


class StarDistFinder:
    """The model after its last step.

    Args:
        work: folder of the model.
        threads: of the CPU.
    """

    def __init__(self, work: Path, threads: int) -> None:
        _set_threads(threads)
        from stardist.models import StarDist2D

        self.model = StarDist2D(None, name=NAME, basedir=str(work))
        self.parameters = self.model.keras_model.count_params()

    def find(self, image: np.ndarray, settings: Sequence[Settings]) -> list[Found]:
        """See ``peer.Finder``."""
        from csbdeep.utils import normalize

        pixels = normalize(image, *PERCENTILES, axis=(0, 1))
        found = []
        for one in settings:
            labels, details = self.model.predict_instances(
                pixels, prob_thresh=one["score"], nms_thresh=one["nms"]
            )
            found.append((labels, details["prob"].tolist()))
        return found


def load(work: Path, threads: int) -> StarDistFinder:
    """The model that ``train`` left."""
    return StarDistFinder(work, threads)


if __name__ == "__main__":
    main(train, predict_with(load))
