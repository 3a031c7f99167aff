"""Data loaders from the config, or from their parts."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

from torch.utils.data import DataLoader, Dataset, IterableDataset, Sampler

from detectron2.config import configurable
from detectron2.utils.comm import get_world_size

from .catalog import DatasetCatalog, MetadataCatalog
from .common import DatasetFromList, MapDataset, ToIterableDataset
from .dataset_mapper import DatasetMapper
from .detection_utils import check_metadata_consistency
from .samplers import InferenceSampler, TrainingSampler

__all__ = [
    "build_batch_data_loader",
    "build_detection_test_loader",
    "build_detection_train_loader",
    "get_detection_dataset_dicts",
]

logger = logging.getLogger(__name__)


def filter_images_with_only_crowd_annotations(dataset_dicts: list[dict]) -> list[dict]:
    """Drop images without any annotation that is not a crowd."""
    kept = [d for d in dataset_dicts if not all(a.get("iscrowd", 0) for a in d["annotations"])]
    removed = len(dataset_dicts) - len(kept)
    logger.info("Removed %d images with no usable annotations. %d left.", removed, len(kept))
    return kept


def get_detection_dataset_dicts(
    names: str | Sequence[str], filter_empty: bool = True, check_consistency: bool = True
) -> Any:
    """Load registered data sets, one after another, into one list of standard dicts.

    One that is registered as a torch ``Dataset`` is returned as it is.
    ``filter_empty`` drops images without objects; ``check_consistency`` wants the same
    "thing_classes" of all.
    """
    names = [names] if isinstance(names, str) else list(names)
    assert names, "No dataset is named: set DATASETS.TRAIN or DATASETS.TEST."
    dicts: list[dict] = []
    for name in names:
        part = DatasetCatalog.get(name)
        if isinstance(part, Dataset):
            assert len(names) == 1, f"Dataset {name!r} is no list: it cannot be joined with others."
            return part
        assert len(part), f"Dataset {name!r} is empty!"
        dicts += part
    if "annotations" in dicts[0]:
        if filter_empty:
            dicts = filter_images_with_only_crowd_annotations(dicts)
        if check_consistency and MetadataCatalog.get(names[0]).get("thing_classes") is not None:
            check_metadata_consistency("thing_classes", names)
    assert dicts, f"No valid data found in {', '.join(names)}."
    return dicts


def build_batch_data_loader(
    dataset: Dataset,
    sampler: Sampler | None,
    total_batch_size: int,
    *,
    num_workers: int = 0,
    collate_fn: Callable | None = None,
    drop_last: bool = True,
    **kwargs: Any,
) -> DataLoader:
    """Batches as lists of samples, of which ``total_batch_size`` is for all processes together.

    An iterable data set needs no sampler.
    ``collate_fn`` may make something else of the list; ``kwargs`` are more for ``DataLoader``.
    """
    world_size = get_world_size()
    assert total_batch_size > 0, f"The batch size is {total_batch_size}: set a positive one."
    assert total_batch_size % world_size == 0, (
        f"Total batch size ({total_batch_size}) must be divisible by the number of gpus "
        f"({world_size})."
    )
    batch_size = total_batch_size // world_size
    if sampler is not None:
        dataset = ToIterableDataset(dataset, sampler, shard_chunk_size=batch_size)
    return DataLoader(
        dataset,
        batch_size=batch_size,
        drop_last=drop_last,
        num_workers=num_workers,
        collate_fn=collate_fn or trivial_batch_collator,
        **kwargs,
    )


def _train_loader_from_config(
    cfg: Any, mapper: Any = None, *, dataset: Any = None, sampler: Any = None
) -> dict[str, Any]:
    if dataset is None:
        dataset = get_detection_dataset_dicts(
            cfg.DATASETS.TRAIN, filter_empty=cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
        )
    if sampler is None and not isinstance(dataset, IterableDataset):
        name = cfg.DATALOADER.SAMPLER_TRAIN
        if name != "TrainingSampler":
            raise ValueError(
                f"Unknown training sampler: DATALOADER.SAMPLER_TRAIN={name!r}; this subset of "
                "Detectron2 has only TrainingSampler."
            )
        sampler = TrainingSampler(len(dataset), seed=cfg.SEED)
    return {
        "dataset": dataset,
        "sampler": sampler,
        "mapper": DatasetMapper(cfg, True) if mapper is None else mapper,
        "total_batch_size": cfg.SOLVER.IMS_PER_BATCH,
        "aspect_ratio_grouping": cfg.DATALOADER.ASPECT_RATIO_GROUPING,
        "num_workers": cfg.DATALOADER.NUM_WORKERS,
    }


def _map_dataset(dataset: Any, mapper: Callable | None) -> Any:
    if isinstance(dataset, list):
        dataset = DatasetFromList(dataset)
    return dataset if mapper is None else MapDataset(dataset, mapper)


@configurable(from_config=_train_loader_from_config)
def build_detection_train_loader(
    dataset: Any,
    *,
    mapper: Callable | None,
    sampler: Sampler | None = None,
    total_batch_size: int,
    aspect_ratio_grouping: bool = False,
    **kwargs: Any,
) -> DataLoader:
    """An endless loader for training; call it with these arguments or with a config.

    ``dataset`` is standard dicts or a torch data set, ``mapper`` makes the model's input of one;
    without a sampler there is a ``TrainingSampler``; ``kwargs`` are ``build_batch_data_loader``'s.
    """
    assert not aspect_ratio_grouping, (
        "Set DATALOADER.ASPECT_RATIO_GROUPING = False: to group takes the real Detectron2."
    )
    dataset = _map_dataset(dataset, mapper)
    if sampler is None and not isinstance(dataset, IterableDataset):
        sampler = TrainingSampler(len(dataset))
    return build_batch_data_loader(dataset, sampler, total_batch_size, **kwargs)


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
    if sampler is None and not isinstance(dataset, IterableDataset):
        sampler = InferenceSampler(len(dataset))
    return DataLoader(
        dataset,
        batch_size=batch_size,
        sampler=sampler,
        num_workers=num_workers,
        collate_fn=collate_fn or trivial_batch_collator,
    )


def trivial_batch_collator(batch: list) -> list:
    """Leave a batch as the list that it is."""
    return batch
