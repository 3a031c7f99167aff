"""Cellpose 3 (its residual U-Net) from random weights; version 4 only fine-tunes."""

from __future__ import annotations

import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import (
    SECONDS_A_MINUTE,
    CpuClock,
    Found,
    Job,
    Peer,
    Settings,
    fit_steps,
    main,
    predict_with,
    read_pairs,
)

PEER = Peer(
    title="Cellpose 3",
    environment="torch",
    commands=(
        "cellpose --train --dir train --mask_filter _masks --pretrained_model None --chan 0 "
        "--SGD 0 --learning_rate 0.005 --batch_size 4 --n_epochs 110 --nimg_per_epoch 12",
        "cellpose --dir images --pretrained_model train/models/cellpose --chan 0 "
        "--cellprob_threshold 0 --flow_threshold 0.4 --save_png",
    ),
    thresholds={
        "cellprob": (-2.0, -1.0, 0.0, 1.0, 2.0),
        "flow": (0.4, 0.0),  # the largest error of a flow; 0 keeps all
    },
)
GREY = [0, 0]  # its name for the mean of the channels
BATCH = 4  # its default is 8; a step of 4 takes seconds of one core, and few of them fit
FULL_SCHEDULE = 110  # epochs from which on it lowers its learning rate at the end
TIMED_STEPS = 4
MARGIN = 0.03  # of the time; its schedule is set before the first step
# Its default is to bring the objects of each image to 30 pixels, which it can do for new images
# where their size is known: where training images have objects of about one size.
SAME_SIZE = 2.0  # from the 10th to the 90th percentile of the images' mean diameters
STEPS_OF_FLOW = 200  # its own, at the size of training
MODEL = "model"


def train(job: Job) -> dict[str, Any]:
    """Time a few steps of a throw-away network, then train as many as fit."""
    import torch
    from cellpose import dynamics

    torch.set_num_threads(job.threads)
    pairs = read_pairs(job.train)
    images = [image for image, _ in pairs]
    copies = [labels.copy() for _, labels in pairs]  # it numbers them anew in place
    flows = dynamics.labels_to_flows(copies, device=torch.device("cpu"))
    rescale = same_size([labels for _, labels in pairs])
    timed, _ = _train(job, images, flows, rescale, epochs=1, an_epoch=BATCH * (TIMED_STEPS + 2))
    step_seconds = statistics.median(np.diff(timed)[1:])
    steps = fit_steps(job.minutes * SECONDS_A_MINUTE, step_seconds, MARGIN)
    epochs, batches = plan(steps)
    stamps, record = _train(job, images, flows, rescale, epochs, batches * BATCH)
    (job.work / "cellpose.json").write_text(json.dumps({"rescale": rescale}))
    return {**record, "steps": len(stamps), "batch": BATCH, "epochs": epochs, "rescale": rescale}


def plan(steps: int) -> tuple[int, int]:
    """Epochs, and steps in each, such that its schedule is whole where there are enough steps.

    Its "epoch" is any number of images; the learning rate rises over the first 10 epochs and, from
    ``FULL_SCHEDULE`` on, is halved ten times at the end.
    """
    batches = max(1, steps // FULL_SCHEDULE)
    return steps // batches, batches


def same_size(label_maps: Sequence[np.ndarray]) -> bool:
    """Whether the objects of all images have about one size, by ``SAME_SIZE``."""
    diameters = []
    for labels in label_maps:
        areas = np.bincount(labels.ravel())[1:]
        diameters.append(np.sqrt(areas[areas > 0]).mean())
    low, high = np.percentile(diameters, (10, 90))
    return bool(high / low < SAME_SIZE)


def _train(
    job: Job,
    images: list[np.ndarray],
    flows: list[np.ndarray],
    rescale: bool,
    epochs: int,
    an_epoch: int,
) -> tuple[list[float], dict[str, float]]:
    """Its own training; CPU seconds at each step, and the record from the first one on."""
    import torch
    from cellpose import models
    from cellpose import train as cellpose_train

    torch.manual_seed(job.seed)
    model = models.CellposeModel(gpu=False, pretrained_model=False, mkldnn=False)
    clock = CpuClock()
    stamps: list[float] = []

    def note_step(*_: Any) -> None:
        if not stamps:
            clock.start()  # what comes before the first step prepares the data
        stamps.append(clock.seconds)

    model.net.register_forward_pre_hook(note_step)
    cellpose_train.train_seg(
        model.net,
        train_data=images,
        train_labels=flows,
        channels=GREY,
        channel_axis=-1,
        batch_size=BATCH,
        n_epochs=epochs,
        nimg_per_epoch=an_epoch,
        rescale=rescale,
        min_train_masks=1,
        save_path=job.work,
        model_name=MODEL,
    )
    return stamps, clock.record()


class CellposeFinder:
    """The model after its last step.

    Args:
        work: folder of the model.
        threads: of the CPU.
    """

    def __init__(self, work: Path, threads: int) -> None:
        import torch
        from cellpose import models

        torch.set_num_threads(threads)
        weights = str(work / "models" / MODEL)
        self.model = models.CellposeModel(gpu=False, pretrained_model=weights)
        self.parameters = sum(p.numel() for p in self.model.net.parameters())
        rescale = json.loads((work / "cellpose.json").read_text())["rescale"]
        self.scale = self.model.diam_mean / self.model.diam_labels if rescale else 1.0

    def find(self, image: np.ndarray, settings: Sequence[Settings]) -> list[Found]:
        """See ``peer.Finder``; an object's score is its mean cell probability."""
        from cellpose import dynamics

        _, (_, flow, logits), _ = self.model.eval(
            image, channels=GREY, channel_axis=-1, rescale=self.scale, compute_masks=False
        )
        probability = 1 / (1 + np.exp(-logits))
        found = []
        for one in settings:
            labels = dynamics.resize_and_compute_masks(
                flow,
                logits,
                niter=STEPS_OF_FLOW / self.scale,
                cellprob_threshold=one["cellprob"],
                flow_threshold=one["flow"],
                min_size=15,
            ).astype(np.int32)
            areas = np.bincount(labels.ravel())
            sums = np.bincount(labels.ravel(), probability.ravel())
            found.append((labels, (sums[1:] / np.maximum(areas[1:], 1)).tolist()))
        return found


def load(work: Path, threads: int) -> CellposeFinder:
    """The model that ``train`` left."""
    return CellposeFinder(work, threads)


if __name__ == "__main__":
    main(train, predict_with(load))
