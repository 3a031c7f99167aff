"""Which process takes which sample."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import torch
from torch.utils.data import Sampler

from detectron2.utils import comm

__all__ = ["InferenceSampler", "TrainingSampler"]


class TrainingSampler(Sampler):
    """An endless stream of indices, of which the processes take turns.

    The stream is one permutation of the data set after another, the same in all processes.
    """

    def __init__(self, size: int, shuffle: bool = True, seed: int | None = None):
        """Set the stream.

        Args:
            size: number of samples of the data set.
            shuffle: whether to permute.
            seed: must be equal in all processes; None draws one that is.
        """
        if not isinstance(size, int):
            raise TypeError(f"TrainingSampler(size=) expects an int, got {type(size).__name__}.")
        if size <= 0:
            raise ValueError(f"TrainingSampler(size=) expects a positive int, got {size}.")
        self._size = size
        self._shuffle = shuffle
        self._seed = comm.shared_random_seed() if seed is None else int(seed)
        self._rank = comm.get_rank()
        self._world_size = comm.get_world_size()

    def __iter__(self) -> Iterator[int]:
        yield from itertools.islice(self._infinite_indices(), self._rank, None, self._world_size)

    def _infinite_indices(self) -> Iterator[int]:
        generator = torch.Generator().manual_seed(self._seed)
        while True:
            if self._shuffle:
                yield from torch.randperm(self._size, generator=generator).tolist()
            else:
                yield from range(self._size)


class InferenceSampler(Sampler):
    """Every sample exactly once: each process takes a row of neighbours, even if uneven."""

    def __init__(self, size: int):
        assert size > 0, f"InferenceSampler(size=) expects a positive int, got {size}."
        world_size, rank = comm.get_world_size(), comm.get_rank()
        self._local_indices = self._get_local_indices(size, world_size, rank)

    @staticmethod
    def _get_local_indices(total_size: int, world_size: int, rank: int) -> range:
        share, left = divmod(total_size, world_size)
        begin = share * rank + min(rank, left)
        return range(begin, begin + share + (rank < left))

    def __iter__(self) -> Iterator[int]:
        yield from self._local_indices

    def __len__(self) -> int:
        return len(self._local_indices)
