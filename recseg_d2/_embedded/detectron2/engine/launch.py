"""Starting the processes of a distributed run. May use: torch, detectron2.utils.comm."""

from __future__ import annotations

import logging
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

logger = logging.getLogger(__name__)


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

    Args:
        main_func: importable, since new processes are started; run here if there is only one.
        num_gpus_per_machine: processes per machine.
        num_machines: to be called on each of them.
        machine_rank: which of them this is.
        dist_url: where they meet; "auto" is a free port of this machine.
        args: of ``main_func``.
        timeout: of operations between the processes.
    """
    world_size = num_machines * num_gpus_per_machine
    if world_size <= 1:
        main_func(*args)
        return
    if dist_url == "auto":
        assert num_machines == 1, "dist_url=auto not supported in multi-machine jobs."
        dist_url = f"tcp://127.0.0.1:{_find_free_port()}"
    if num_machines > 1 and (dist_url or "").startswith("file://"):
        logger.warning("file:// is not a reliable dist_url in multi-machine jobs. Prefer tcp://")
    first_rank = machine_rank * num_gpus_per_machine
    worker_args = (main_func, first_rank, world_size, num_gpus_per_machine, dist_url, args, timeout)
    mp.start_processes(_run_worker, worker_args, nprocs=num_gpus_per_machine, daemon=False)


def _find_free_port() -> int:
    with socket.socket() as free:
        free.bind(("", 0))
        return free.getsockname()[1]


def _run_worker(
    local_rank: int,
    main_func: Callable,
    first_rank: int,
    world_size: int,
    processes_here: int,
    dist_url: str | None,
    args: tuple[Any, ...],
    timeout: timedelta,
) -> None:
    has_gpu = torch.cuda.is_available()
    if has_gpu:
        found = torch.cuda.device_count()
        assert processes_here <= found, f"Asked for {processes_here} GPUs, but found {found}."
    try:
        dist.init_process_group(
            backend="nccl" if has_gpu else "gloo",
            init_method=dist_url,
            world_size=world_size,
            rank=first_rank + local_rank,
            timeout=timeout,
        )
    except Exception:
        logger.error("Process group URL: %s", dist_url)
        raise
    comm.create_local_process_group(processes_here)
    if has_gpu:
        torch.cuda.set_device(local_rank)
    comm.synchronize()  # all groups exist before the first real message
    main_func(*args)
