"""Data sets over data sets. May use: numpy, torch, cloudpickle."""

from __future__ import annotations

import copy
import logging
import pickle
import random
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset, IterableDataset, Sampler, get_worker_info

from detectron2.utils.serialize import PicklableWrapper

__all__ = ["AspectRatioGroupedDataset", "DatasetFromList", "MapDataset", "ToIterableDataset"]

logger = logging.getLogger(__name__)

_RETRIES_BEFORE_WARNING = 3


class _TorchSerializedList:
    """A list held as pickles in one tensor, whose memory all loading processes share."""

    def __init__(self, items: list):
        logger.info("Serializing %d elements to byte tensors ...", len(items))
        pickles = [np.frombuffer(pickle.dumps(item, protocol=-1), np.uint8) for item in items]
        self._ends = torch.tensor(np.cumsum([len(p) for p in pickles], dtype=np.int64))
        self._bytes = torch.from_numpy(np.concatenate(pickles) if items else np.empty(0, np.uint8))
        logger.info("Serialized dataset takes %.2f MiB", len(self._bytes) / 2**20)

    def __len__(self) -> int:
        return len(self._ends)

    def __getitem__(self, index: int) -> Any:
        start = 0 if index == 0 else self._ends[index - 1].item()
        return pickle.loads(self._bytes[start : self._ends[index].item()].numpy().data)


class DatasetFromList(Dataset):
    """A list as a data set that hands out copies."""

    def __init__(self, lst: list, copy: bool = True, serialize: bool | Callable = True):
        """Wrap a list.

        Args:
            lst: the samples.
            copy: whether to copy a sample when it is taken (serialised ones always are).
            serialize: whether to keep the samples pickled; a callable replaces the way to.
        """
        self._copy = copy and serialize is False
        keep = serialize if callable(serialize) else _TorchSerializedList
        self._samples = lst if serialize is False else keep(lst)

    def __len__(self) -> int:
        return len(self._samples)

    def __getitem__(self, index: int) -> Any:
        sample = self._samples[index]
        return copy.deepcopy(sample) if self._copy else sample


class MapDataset(Dataset):
    """Apply a function to each sample; where it returns None, another sample is taken.

    Over an iterable data set the result is iterable too, and None is skipped.
    """

    def __new__(cls, dataset: Any = None, map_func: Callable | None = None):
        if isinstance(dataset, IterableDataset):
            return _MapIterableDataset(dataset, map_func)
        return super().__new__(cls)

    def __init__(self, dataset: Dataset, map_func: Callable):
        self._dataset = dataset
        self._map_func = PicklableWrapper(map_func)  # so that a lambda reaches other processes
        self._rng = random.Random(42)
        self._usable = set(range(len(dataset)))  # type: ignore[arg-type]

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

    def __getitem__(self, index: int) -> Any:
        current, retries = int(index), 0
        while (sample := self._map_func(self._dataset[current])) is None:
            self._usable.discard(current)
            if not self._usable:
                raise ValueError("The mapper returned None for every sample of the dataset.")
            retries += 1
            if retries >= _RETRIES_BEFORE_WARNING:
                logger.warning("The mapper returned None %d times for index %s", retries, index)
            current = self._rng.choice(sorted(self._usable))
        self._usable.add(current)
        return sample


class _MapIterableDataset(IterableDataset):
    """``MapDataset`` over an iterable one."""

    def __init__(self, dataset: IterableDataset, map_func: Callable | None):
        self._dataset = dataset
        self._map_func = PicklableWrapper(map_func)

    def __len__(self) -> int:
        return len(self._dataset)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator:
        return (y for y in map(self._map_func, self._dataset) if y is not None)


class ToIterableDataset(IterableDataset):
    """The samples of a map-style data set in a sampler's order."""

    def __init__(
        self,
        dataset: Dataset,
        sampler: Sampler,
        shard_sampler: bool = True,
        shard_chunk_size: int = 1,
    ):
        """Join data set and sampler.

        Args:
            dataset: with ``__getitem__``.
            sampler: run in every loading process, so it must be cheap and the same in each.
            shard_sampler: whether each loading process takes only its share of the indices.
            shard_chunk_size: that many indices in a row go to one process (the batch size, so
                that batches do not depend on the number of processes).
        """
        assert not isinstance(dataset, IterableDataset), f"{dataset!r} is iterable already."
        assert isinstance(sampler, Sampler), f"Expected a Sampler, got {sampler!r}."
        self.dataset = dataset
        self.sampler = sampler
        self.shard_sampler = shard_sampler
        self.shard_chunk_size = shard_chunk_size

    def __iter__(self) -> Iterator:
        indices = self._own_share() if self.shard_sampler else self.sampler
        return (self.dataset[index] for index in indices)

    def _own_share(self) -> Iterator:
        worker = get_worker_info()
        for position, index in enumerate(self.sampler):
            turn = position // self.shard_chunk_size
            if worker is None or turn % worker.num_workers == worker.id:
                yield index

    def __len__(self) -> int:
        return len(self.sampler)  # type: ignore[arg-type]


class AspectRatioGroupedDataset(IterableDataset):
    """Batches of only wide, or only tall, images, which need less padding."""

    def __init__(self, dataset: Iterable[dict], batch_size: int):
        self.dataset = dataset
        self.batch_size = batch_size
        self._buckets: list[list[dict]] = [[], []]  # kept, so that a new start loses no sample

    def __iter__(self) -> Iterator[list[dict]]:
        for sample in self.dataset:
            bucket = self._buckets[0 if sample["width"] > sample["height"] else 1]
            bucket.append(sample)
            if len(bucket) == self.batch_size:
                batch = bucket.copy()
                bucket.clear()  # first: what follows a yield may never run
                yield batch
