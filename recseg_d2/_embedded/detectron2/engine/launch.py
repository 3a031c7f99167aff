"""Starting the processes of a distributed run."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
import torch.multiprocessing as mp

from detectron2.utils import comm

__all__ = ["DEFAULT_TIMEOUT", "launch"]

DEFAULT_TIMEOUT = timedelta(minutes=30)


def launch(
    main_func: Callable,
    num_gpus_per_machine: int,
    num_machines: int = 1,
    machine_rank: int = 0,
    dist_url: str | None = None,
    args: tuple = (),
    timeout: timedelta = DEFAULT_TIMEOUT,
) -> None:
    """Run ``main_func(*args)`` in one process per GPU, or in so many processes without GPUs.

    To be called on every machine. ``dist_url`` is where the processes meet, "auto" a free port of
    this machine; ``timeout`` is of operations between them. A single process is this one.
    """
    world_size = num_machines * num_gpus_per_machine
    if world_size <= 1:
        main_func(*args)
        return
    if dist_url == "auto":
        assert num_machines == 1, "dist_url=auto not supported in multi-machine jobs."
        with socket.socket() as free:
            free.bind(("", 0))
            dist_url = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    first_rank = machine_rank * num_gpus_per_machine
    group = {"init_method": dist_url, "world_size": world_size, "timeout": timeout}
    worker_args = (main_func, args, first_rank, num_gpus_per_machine, group)
    mp.start_processes(_run_worker, worker_args, nprocs=num_gpus_per_machine)


def _run_worker(
    local_rank: int,
    main_func: Callable,
    args: tuple,
    first_rank: int,
    processes_here: int,
    group: dict[str, Any],
) -> None:
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        found = torch.cuda.device_count()
        assert processes_here <= found, f"Asked for {processes_here} GPUs, but found {found}."
        torch.cuda.set_device(local_rank)
    backend = "nccl" if has_gpu else "gloo"
    dist.init_process_group(backend, rank=first_rank + local_rank, **group)
    comm.create_local_process_group(processes_here)
    comm.synchronize()  # all groups exist before the first real message
    main_func(*args)
