"""Talk between processes; every function is a no-op in a single one."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
import torch.distributed as dist

_local_group: dist.ProcessGroup | None = None


def _is_distributed() -> bool:
    return dist.is_available() and dist.is_initialized()


def get_world_size() -> int:
    return dist.get_world_size() if _is_distributed() else 1


def get_rank() -> int:
    return dist.get_rank() if _is_distributed() else 0


def is_main_process() -> bool:
    return get_rank() == 0


def create_local_process_group(num_workers_per_machine: int) -> None:
    """Group the processes of each machine; every process has to call this, once.

    Raises:
        ValueError: the number of processes is no multiple of ``num_workers_per_machine``.
    """
    global _local_group
    size = get_world_size()
    if size % num_workers_per_machine:
        raise ValueError(f"{size} processes do not make machines of {num_workers_per_machine}.")
    for first in range(0, size, num_workers_per_machine):  # new_group is collective: all make all
        ranks = list(range(first, first + num_workers_per_machine))
        group = dist.new_group(ranks)
        if get_rank() in ranks:
            _local_group = group


def get_local_rank() -> int:
    """Rank on this machine; AssertionError before ``create_local_process_group``."""
    if not _is_distributed():
        return 0
    assert _local_group is not None, (
        "There is no local process group. Start processes with detectron2.engine.launch, or call "
        "comm.create_local_process_group(processes per machine) after init_process_group."
    )
    return dist.get_rank(_local_group)


def synchronize() -> None:
    """Wait until all processes are here."""
    if get_world_size() == 1:
        return
    if dist.get_backend() == dist.Backend.NCCL:
        dist.barrier(device_ids=[torch.cuda.current_device()])  # without ids NCCL guesses and warns
    else:
        dist.barrier()


@functools.lru_cache
def _cpu_group() -> dist.ProcessGroup | None:
    """All processes, over gloo: objects need no GPU memory."""
    return dist.new_group(backend="gloo") if dist.get_backend() == "nccl" else dist.group.WORLD


def all_gather(data: Any) -> list:
    """Everyone's ``data`` (any picklable object) in the order of ranks, for everyone."""
    if get_world_size() == 1:
        return [data]
    gathered: list[Any] = [None] * get_world_size()
    dist.all_gather_object(gathered, data, group=_cpu_group())
    return gathered


def gather(data: Any, dst: int = 0) -> list:
    """Everyone's ``data`` in the order of ranks on rank ``dst``, an empty list elsewhere."""
    if get_world_size() == 1:
        return [data]
    gathered: list[Any] | None = [None] * get_world_size() if get_rank() == dst else None
    dist.gather_object(data, gathered, dst=dst, group=_cpu_group())
    return gathered or []


def shared_random_seed() -> int:
    """A random integer in [0, 2**31) that is the same in all processes; all have to call it."""
    return all_gather(int(np.random.randint(2**31)))[0]  # noqa: NPY002  (follows seed_all_rng)
