"""Data loaders from the config, or from their parts. May use: torch, tabulate, detectron2."""

from __future__ import annotations

import itertools
import logging
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from tabulate import tabulate
from torch.utils.data import ConcatDataset, DataLoader, Dataset, IterableDataset, Sampler

from detectron2.config import configurable
from detectron2.utils.comm import get_world_size
from detectron2.utils.env import seed_all_rng
from detectron2.utils.logger import log_first_n

from .catalog import DatasetCatalog, MetadataCatalog
from .common import AspectRatioGroupedDataset, DatasetFromList, MapDataset, ToIterableDataset
from .dataset_mapper import DatasetMapper
from .detection_utils import check_metadata_consistency
from .samplers import InferenceSampler, TrainingSampler

__all__ = [
    "build_batch_data_loader",
    "build_detection_test_loader",
    "build_detection_train_loader",
    "get_detection_dataset_dicts",
    "print_instances_class_histogram",
]

logger = logging.getLogger(__name__)

_MOST_TABLE_COLUMNS = 6


def filter_images_with_only_crowd_annotations(dataset_dicts: list[dict]) -> list[dict]:
    """Drop images without any annotation that is not a crowd."""
    kept = [d for d in dataset_dicts if not all(a.get("iscrowd", 0) for a in d["annotations"])]
    removed = len(dataset_dicts) - len(kept)
    logger.info("Removed %d images with no usable annotations. %d left.", removed, len(kept))
    return kept


def print_instances_class_histogram(dataset_dicts: list[dict], class_names: Sequence[str]) -> None:
    """Log how many objects of each class there are."""
    counts = np.zeros(len(class_names), dtype=int)
    for annotation in itertools.chain.from_iterable(d["annotations"] for d in dataset_dicts):
        category = annotation["category_id"]
        assert 0 <= category < len(class_names), (
            f"Got an invalid category_id={category} for a dataset of {len(class_names)} classes."
        )
        counts[category] += not annotation.get("iscrowd", 0)
    cells: list[Any] = [*zip(class_names, counts.tolist(), strict=True)]
    if len(class_names) > 1:
        cells.append(("total", int(counts.sum())))
    per_row = min(_MOST_TABLE_COLUMNS // 2, len(cells))
    rows = [sum(cells[i : i + per_row], ()) for i in range(0, len(cells), per_row)]
    table = tabulate(rows, headers=["category", "#instances"] * per_row, tablefmt="pipe")
    message = f"Distribution of instances among all {len(class_names)} categories:\n{table}"
    log_first_n(logging.INFO, message, key="message")


def get_detection_dataset_dicts(
    names: str | Sequence[str], filter_empty: bool = True, check_consistency: bool = True
) -> Any:
    """Load registered data sets, one after another, into one list of standard dicts.

    Args:
        names: in the ``DatasetCatalog``.
        filter_empty: whether to drop images without objects.
        check_consistency: whether all must have the same "thing_classes".

    Returns:
        The list, or a torch ``Dataset`` where a data set is registered as one.
    """
    names = [names] if isinstance(names, str) else list(names)
    assert names, "No dataset is named: set DATASETS.TRAIN or DATASETS.TEST."
    parts = [DatasetCatalog.get(name) for name in names]
    if isinstance(parts[0], Dataset):
        return parts[0] if len(parts) == 1 else ConcatDataset(parts)
    for name, part in zip(names, parts, strict=True):
        assert len(part), f"Dataset {name!r} is empty!"
    dicts = list(itertools.chain.from_iterable(parts))
    if "annotations" in dicts[0]:
        if filter_empty:
            dicts = filter_images_with_only_crowd_annotations(dicts)
        class_names = MetadataCatalog.get(names[0]).get("thing_classes")
        if check_consistency and class_names is not None:
            check_metadata_consistency("thing_classes", names)
            print_instances_class_histogram(dicts, class_names)
    assert dicts, f"No valid data found in {', '.join(names)}."
    return dicts


def build_batch_data_loader(
    dataset: Dataset,
    sampler: Sampler | None,
    total_batch_size: int,
    *,
    aspect_ratio_grouping: bool = False,
    num_workers: int = 0,
    collate_fn: Callable | None = None,
    drop_last: bool = True,
    seed: int | None = None,
    **kwargs: Any,
) -> Any:
    """Batches as lists of samples, the share of this process.

    Args:
        dataset: map-style, or iterable and then without a sampler.
        sampler: order of the samples.
        total_batch_size: of all processes together.
        aspect_ratio_grouping: whether to batch wide and tall images apart.
        num_workers: loading processes.
        collate_fn: makes a batch of a list of samples; the default leaves the list.
        drop_last: whether to drop a last batch that is not full.
        seed: of the loading processes.
        kwargs: more for ``torch.utils.data.DataLoader``.
    """
    world_size = get_world_size()
    assert total_batch_size >= world_size, f"{total_batch_size} images for {world_size} processes."
    assert total_batch_size % world_size == 0, (
        f"Total batch size ({total_batch_size}) must be divisible by the number of gpus "
        f"({world_size})."
    )
    batch_size = total_batch_size // world_size
    logger.info("Making batched data loader with batch_size=%d", batch_size)
    if isinstance(dataset, IterableDataset):
        assert sampler is None, "sampler must be None if dataset is IterableDataset"
    else:
        assert sampler is not None, "sampler is needed if dataset is not an IterableDataset"
        dataset = ToIterableDataset(dataset, sampler, shard_chunk_size=batch_size)
    kwargs.update(num_workers=num_workers, worker_init_fn=worker_init_reset_seed)
    if seed is not None:
        kwargs["generator"] = torch.Generator().manual_seed(seed)
    if not aspect_ratio_grouping:
        collate_fn = collate_fn or trivial_batch_collator
        kwargs.update(batch_size=batch_size, drop_last=drop_last, collate_fn=collate_fn)
        return DataLoader(dataset, **kwargs)
    assert drop_last, "Aspect ratio grouping will drop incomplete batches."
    samples = DataLoader(dataset, collate_fn=operator.itemgetter(0), **kwargs)  # one by one
    grouped = AspectRatioGroupedDataset(samples, batch_size)
    return grouped if collate_fn is None else MapDataset(grouped, collate_fn)


def _train_loader_from_config(
    cfg: Any, mapper: Any = None, *, dataset: Any = None, sampler: Any = None
) -> dict[str, Any]:
    if dataset is None:
        dataset = get_detection_dataset_dicts(
            cfg.DATASETS.TRAIN, filter_empty=cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
        )
    if sampler is None and not isinstance(dataset, IterableDataset):
        sampler = _build_train_sampler(cfg, dataset)
    return {
        "dataset": dataset,
        "sampler": sampler,
        "mapper": DatasetMapper(cfg, True) if mapper is None else mapper,
        "total_batch_size": cfg.SOLVER.IMS_PER_BATCH,
        "aspect_ratio_grouping": cfg.DATALOADER.ASPECT_RATIO_GROUPING,
        "num_workers": cfg.DATALOADER.NUM_WORKERS,
    }


def _build_train_sampler(cfg: Any, dataset: Any) -> Sampler:
    name = cfg.DATALOADER.SAMPLER_TRAIN
    if name != "TrainingSampler":
        raise ValueError(
            f"Unknown training sampler: DATALOADER.SAMPLER_TRAIN={name!r}; this subset of "
            "Detectron2 has only TrainingSampler."
        )
    return TrainingSampler(len(dataset), seed=cfg.SEED)


def _map_dataset(dataset: Any, mapper: Callable | None) -> Any:
    if isinstance(dataset, list):
        dataset = DatasetFromList(dataset, copy=False)
    return dataset if mapper is None else MapDataset(dataset, mapper)


@configurable(from_config=_train_loader_from_config)
def build_detection_train_loader(
    dataset: Any,
    *,
    mapper: Callable | None,
    sampler: Sampler | None = None,
    total_batch_size: int,
    aspect_ratio_grouping: bool = True,
    num_workers: int = 0,
    collate_fn: Callable | None = None,
    **kwargs: Any,
) -> Any:
    """An endless loader for training; call it with these arguments or with a config.

    Args:
        dataset: standard dicts, or a torch data set.
        mapper: from a dict to the model's input.
        sampler: the default is a ``TrainingSampler``; None for iterable data sets.
        total_batch_size: of all processes together.
        aspect_ratio_grouping: whether to batch wide and tall images apart.
        num_workers: loading processes.
        collate_fn: makes a batch of a list of samples; the default leaves the list.
        kwargs: more for ``build_batch_data_loader``.
    """
    dataset = _map_dataset(dataset, mapper)
    if sampler is None and not isinstance(dataset, IterableDataset):
        sampler = TrainingSampler(len(dataset))
    return build_batch_data_loader(
        dataset,
        sampler,
        total_batch_size,
        aspect_ratio_grouping=aspect_ratio_grouping,
        num_workers=num_workers,
        collate_fn=collate_fn,
        **kwargs,
    )


def _test_loader_from_config(
    cfg: Any, dataset_name: str | Sequence[str], mapper: Any = None
) -> dict[str, Any]:
    return {
        "dataset": get_detection_dataset_dicts(dataset_name, filter_empty=False),
        "mapper": DatasetMapper(cfg, False) if mapper is None else mapper,
        "num_workers": cfg.DATALOADER.NUM_WORKERS,
    }


@configurable(from_config=_test_loader_from_config)
def build_detection_test_loader(
    dataset: Any,
    *,
    mapper: Callable | None,
    sampler: Sampler | None = None,
    batch_size: int = 1,
    num_workers: int = 0,
    collate_fn: Callable | None = None,
) -> DataLoader:
    """A loader of each sample once; arguments as in ``build_detection_train_loader``."""
    dataset = _map_dataset(dataset, mapper)
    if isinstance(dataset, IterableDataset):
        assert sampler is None, "sampler must be None if dataset is IterableDataset"
    elif sampler is None:
        sampler = InferenceSampler(len(dataset))
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        drop_last=False,
        num_workers=num_workers,
        collate_fn=collate_fn or trivial_batch_collator,
    )


def trivial_batch_collator(batch: list) -> list:
    """Leave a batch as the list that it is."""
    return batch


def worker_init_reset_seed(worker_id: int) -> None:
    """Give every loading process its own seed, for numpy and ``random`` too."""
    seed_all_rng(torch.initial_seed() % 2**31 + worker_id)
