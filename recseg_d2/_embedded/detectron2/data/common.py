"""Data sets over data sets."""

from __future__ import annotations

import logging
import pickle
import random
from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Dataset, IterableDataset, Sampler, get_worker_info

__all__ = ["DatasetFromList", "MapDataset", "ToIterableDataset"]

logger = logging.getLogger(__name__)


class DatasetFromList(Dataset):
    """A list as a data set; samples are kept pickled, so that each access hands out a copy.

    ``copy`` is for Detectron2's lists that are not pickled, and has no effect here.
    """

    def __init__(self, lst: list, copy: bool = True):
        self._pickles = [pickle.dumps(sample, protocol=-1) for sample in lst]

    def __len__(self) -> int:
        return len(self._pickles)

    def __getitem__(self, index: int) -> Any:
        return pickle.loads(self._pickles[index])


class MapDataset(Dataset):
    """Apply a function to each sample; where it returns None, another sample is taken."""

    def __new__(cls, dataset: Dataset, map_func: Callable) -> Any:
        """An iterable data set stays one."""
        mapped_class = _MapIterableDataset if isinstance(dataset, IterableDataset) else MapDataset
        return super().__new__(mapped_class)

    def __init__(self, dataset: Dataset, map_func: Callable):
        self._dataset: Any = dataset
        self._map_func = map_func
        self._rng = random.Random(42)

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, index: int) -> Any:
        sample, others = self._map_func(self._dataset[index]), list(range(len(self)))
        while sample is None and others:
            instead = others.pop(self._rng.randrange(len(others)))
            logger.warning("The mapper returned None for sample %d: trying %d.", index, instead)
            sample = self._map_func(self._dataset[instead])
        assert sample is not None, "The mapper returned None for every sample of the dataset."
        return sample


class _MapIterableDataset(MapDataset, IterableDataset):
    def __iter__(self) -> Iterator:
        return (sample for sample in map(self._map_func, self._dataset) if sample is not None)


class ToIterableDataset(IterableDataset):
    """The samples of a data set in a sampler's order, which every loading process goes through.

    The processes take turns of ``shard_chunk_size`` samples: with the batch size, batches do not
    depend on the number of processes.
    """

    def __init__(self, dataset: Dataset, sampler: Sampler, shard_chunk_size: int = 1):
        self.dataset = dataset
        self.sampler = sampler
        self.shard_chunk_size = shard_chunk_size

    def __iter__(self) -> Iterator:
        worker = get_worker_info()
        for position, index in enumerate(self.sampler):
            turn = position // self.shard_chunk_size
            if worker is None or turn % worker.num_workers == worker.id:
                yield self.dataset[index]

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]
