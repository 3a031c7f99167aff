"""Data loaders whose samples depend on the seed and their place in the stream only.

The stream of training samples is a fixed sequence: position p holds an image (all images once in
each epoch, or by their weights, in an order drawn from the seed) and its own random numbers for
augmentation. A run that resumes at iteration i starts at position i * batch size, and sees what it
would have seen; neither the number of workers nor, for a fixed total batch, the number of processes
changes the samples.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import (
    DatasetFromList,
    build_detection_test_loader,
    build_detection_train_loader,
    get_detection_dataset_dicts,
)
from detectron2.utils import comm
from torch.utils.data import DataLoader, Dataset, Sampler

from recseg_d2.data.catalog import check_registered
from recseg_d2.data.mapper import InstanceMapper, TestMapper
from recseg_d2.data.proposals import TEST, TRAIN, add_proposals
from recseg_d2.data.resolution import max_instances
from recseg_d2.data.validation import check_dataset_dicts, report_oddities
from recseg_d2.errors import UserError

_ORDER_STREAM, _SAMPLE_STREAM = 0, 1  # independent random streams of one seed

# What a training sample says of itself, beside what the mapper returns.
POSITION, IMAGE_NUMBER = "stream_position", "image_number"


def build_train_loader(
    cfg: CfgNode, start_iteration: int = 0, weights: Mapping[int, float] | None = None
) -> DataLoader:
    """The endless training loader over ``cfg.DATASETS.TRAIN``, from an iteration on.

    Args:
        cfg: ``SOLVER.IMS_PER_BATCH`` images an iteration over all processes. A negative
            ``SEED`` (Detectron2's "not seeded") counts as 0: the stream is always reproducible.
        start_iteration: iteration from which a resumed run goes on, 0 for a new one.
        weights: how often images are drawn relative to each other, by their number; those that are
            not named have the mean weight. By default all images come once in each epoch.

    Returns:
        A loader that yields lists of what ``InstanceMapper`` returns, with the sample's
        "stream_position" and "image_number".

    Raises:
        UserError: the data is unusable, or the config asks for another sampler.
    """
    _check_sampler(cfg)
    dicts = _load(cfg, TRAIN, cfg.DATASETS.TRAIN, cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS)
    if start_iteration == 0:
        report_oddities(dicts, ", ".join(cfg.DATASETS.TRAIN), max_instances(cfg))
    seed = max(cfg.SEED, 0)
    dataset = SeededDataset(DatasetFromList(dicts, copy=False), InstanceMapper(cfg), seed)
    start = start_iteration * cfg.SOLVER.IMS_PER_BATCH
    sampler = StreamSampler(len(dicts), seed, start, _all_weights(weights, len(dicts)))
    return build_detection_train_loader(
        dataset,
        mapper=None,
        sampler=sampler,
        total_batch_size=cfg.SOLVER.IMS_PER_BATCH,
        aspect_ratio_grouping=False,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
    )


def check_val_data(cfg: CfgNode) -> None:
    """Check ``cfg.DATASETS.TEST`` as ``build_val_loader`` does, and log what is odd, once a run.

    Raises:
        UserError: the data is unusable.
    """
    for name in cfg.DATASETS.TEST:
        dicts = _load(cfg, TEST, [name], filter_empty=False)
        report_oddities(dicts, name, max_instances(cfg))


def build_val_loader(cfg: CfgNode, dataset_name: str) -> DataLoader:
    """One pass over a data set, in order, with annotations and without augmentation.

    One image a batch: a loss that is a mean over the objects of a batch would depend on which
    images come together, and so on the number of processes.
    """
    dicts = _load(cfg, TEST, [dataset_name], filter_empty=False)
    return build_detection_test_loader(
        dicts,
        mapper=InstanceMapper(cfg, is_train=False),
        batch_size=1,
        num_workers=cfg.DATALOADER.NUM_WORKERS,
    )


def build_test_loader(cfg: CfgNode, dataset_name: str) -> DataLoader:
    """Detectron2's loader for evaluations, with proposals where the config names files of them."""
    dicts = get_detection_dataset_dicts([dataset_name], filter_empty=False)
    return build_detection_test_loader(
        add_proposals(cfg, dicts, dataset_name, TEST),
        mapper=TestMapper(cfg),
        num_workers=cfg.DATALOADER.NUM_WORKERS,
    )


class StreamSampler(Sampler):
    """Yields (position, index of the image) from a position on, this process's share of them.

    Process r of R takes the positions p with p % R == r, so that the images of an iteration are the
    same however many processes share them.
    """

    def __init__(
        self, size: int, seed: int, start: int = 0, weights: Sequence[float] | None = None
    ):
        """Set the stream.

        Args:
            size: number of images, at least 1.
            seed: >= 0; decides the order within each epoch.
            start: first position, a multiple of the number of processes.
            weights: of the images, above 0; an epoch has ``size`` positions, of which each image
                gets its share, rounded up or down. By default each image has one.
        """
        self.size, self.seed, self.start, self.weights = size, seed, start, weights
        self.rank, self.world_size = comm.get_rank(), comm.get_world_size()

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """(position, index of the image), epoch after epoch without an end."""
        position = self.start + self.rank
        epoch, order = -1, np.empty(0, dtype=np.int64)
        while True:
            if position // self.size != epoch:
                epoch = position // self.size
                rng = np.random.default_rng((self.seed, _ORDER_STREAM, epoch))
                order = rng.permutation(drawn_images(self.size, self.weights, rng))
            yield position, int(order[position % self.size])
            position += self.world_size


def drawn_images(
    size: int, weights: Sequence[float] | None, rng: np.random.Generator
) -> np.ndarray:
    """The images of an epoch of ``size`` positions, in ascending order; by systematic sampling.

    Image i comes size * weights[i] / sum(weights) times, rounded up or down such that the mean over
    epochs is that number; without weights once.
    """
    if weights is None:
        return np.arange(size)
    ends = np.cumsum(weights) / np.sum(weights) * size
    return np.searchsorted(ends, np.arange(size) + rng.random(), side="right").clip(max=size - 1)


def _all_weights(weights: Mapping[int, float] | None, size: int) -> list[float] | None:
    if not weights:
        return None
    mean = sum(weights.values()) / len(weights)
    return [weights.get(image, mean) for image in range(size)]


class SeededDataset(Dataset):
    """Maps the sample at (position, index) with random numbers that belong to that position."""

    def __init__(
        self, dicts: Dataset, mapper: Callable[[dict[str, Any], int], dict[str, Any]], seed: int
    ):
        """Keep the parts; ``seed`` >= 0."""
        self.dicts, self.mapper, self.seed = dicts, mapper, seed

    def __len__(self) -> int:
        """Number of images."""
        return len(self.dicts)  # type: ignore[arg-type]

    def __getitem__(self, key: tuple[int, int]) -> dict[str, Any]:
        """The sample at (position, index), mapped."""
        position, index = key
        with seeded(self.seed, _SAMPLE_STREAM, position):
            sample = self.mapper(self.dicts[index], index)
        return {**sample, POSITION: position, IMAGE_NUMBER: index}


@contextmanager
def seeded(*key: int) -> Iterator[None]:
    """Seed Python's, numpy's and torch's CPU generators from a key; restore them afterwards."""
    # Detectron2's augmentations draw from numpy's global generator, hence the legacy functions.
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()  # noqa: NPY002
    words = np.random.SeedSequence(key).generate_state(3)
    random.seed(int(words[0]))
    np.random.seed(words[1])  # noqa: NPY002
    torch.default_generator.manual_seed(int(words[2]))
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])  # noqa: NPY002
        torch.set_rng_state(states[2])


def _load(
    cfg: CfgNode, split: str, names: Sequence[str], filter_empty: bool
) -> list[dict[str, Any]]:
    """The checked dicts of some data sets of DATASETS.TRAIN or TEST, with their proposals."""
    where = ", ".join(names)
    for name in names:
        check_registered(name, "DATASETS")
    try:
        parts = [get_detection_dataset_dicts([name], filter_empty=filter_empty) for name in names]
    except AssertionError as error:  # how Detectron2 says that nothing is left
        raise UserError(
            f"{where}: found no image with an object to use ({error}); see what `recseg "
            "check-dataset` says of it."
        ) from error
    dicts = [
        record
        for name, part in zip(names, parts, strict=True)
        for record in add_proposals(cfg, part, name, split)
    ]
    check_dataset_dicts(dicts, where, cfg.MODEL.NUM_CLASSES)
    return dicts


def _check_sampler(cfg: CfgNode) -> None:
    found = cfg.DATALOADER.SAMPLER_TRAIN
    if found != "TrainingSampler":
        raise UserError(
            f"DATALOADER.SAMPLER_TRAIN: found {found!r}, expected 'TrainingSampler'; other "
            "samplers cannot be resumed at an iteration."
        )
