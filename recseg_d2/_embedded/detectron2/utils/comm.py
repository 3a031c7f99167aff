"""Talk between processes; every function is a no-op in a single one. May use: torch, numpy only."""

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


def get_local_process_group() -> dist.ProcessGroup:
    """The group of the processes on this machine.

    Raises:
        AssertionError: ``create_local_process_group`` was not called.
    """
    assert _local_group is not None, (
        "There is no local process group. Start processes with detectron2.engine.launch, or call "
        "comm.create_local_process_group(processes per machine) after init_process_group."
    )
    return _local_group


def get_local_rank() -> int:
    return dist.get_rank(get_local_process_group()) if _is_distributed() else 0


def get_local_size() -> int:
    return dist.get_world_size(get_local_process_group()) if _is_distributed() else 1


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


def all_gather(data: Any, group: dist.ProcessGroup | None = None) -> list:
    """Everyone's ``data`` (any picklable object) in the order of ranks, for everyone."""
    if get_world_size() == 1:
        return [data]
    group = group or _cpu_group()
    gathered: list[Any] = [None] * dist.get_world_size(group)
    dist.all_gather_object(gathered, data, group=group)
    return gathered


def gather(data: Any, dst: int = 0, group: dist.ProcessGroup | None = None) -> list:
    """Everyone's ``data`` in the order of ranks on rank ``dst``, an empty list elsewhere."""
    if get_world_size() == 1:
        return [data]
    group = group or _cpu_group()
    here = dist.get_rank(group) == dst
    gathered: list[Any] | None = [None] * dist.get_world_size(group) if here else None
    dist.gather_object(data, gathered, dst=dst, group=group)
    return gathered or []


def shared_random_seed() -> int:
    """A random integer in [0, 2**31) that is the same in all processes; all have to call it."""
    return all_gather(int(np.random.randint(2**31)))[0]  # noqa: NPY002  (follows seed_all_rng)


@torch.no_grad()
def reduce_dict(input_dict: dict[str, torch.Tensor], average: bool = True) -> dict:
    """Sum (or average) scalar tensors over all processes; only rank 0 holds the result."""
    world_size = get_world_size()
    if world_size == 1:
        return input_dict
    names = sorted(input_dict)  # the same order everywhere
    values = torch.stack([input_dict[name] for name in names])
    dist.reduce(values, dst=0)
    if average and is_main_process():
        values /= world_size
    return dict(zip(names, values, strict=True))
