"""Starting one or many processes."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist
from detectron2.engine import launch as detectron2_launch
from detectron2.utils import comm

logger = logging.getLogger(__name__)


def launch(main: Callable[[argparse.Namespace], Any], args: argparse.Namespace) -> Any:
    """Run ``main(args)`` in as many processes as asked for.

    Under torchrun the processes exist already and are joined by its environment variables.
    Otherwise ``--num-gpus`` and its kin start them through Detectron2; where fewer GPUs are found
    than asked for, one process trains on what there is, and a line says so.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return _join_torchrun(main, args)
    found = torch.cuda.device_count()
    if args.num_gpus > 1 and found < args.num_gpus:
        print(
            f"--num-gpus {args.num_gpus}, but {found} found: training in one process"
            f"{'' if found else ' on the CPU'}."
        )
        args.num_gpus = min(found, 1)
    if args.num_gpus * args.num_machines <= 1:
        return main(args)  # in this process, so that errors come through as they are
    return detectron2_launch(
        main,
        args.num_gpus,
        num_machines=args.num_machines,
        machine_rank=args.machine_rank,
        dist_url=args.dist_url,
        args=(args,),
    )


def _join_torchrun(main: Callable[[argparse.Namespace], Any], args: argparse.Namespace) -> Any:
    on_gpu = torch.cuda.is_available()
    dist.init_process_group("nccl" if on_gpu else "gloo", init_method="env://")
    comm.create_local_process_group(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    comm.synchronize()
    result = main(args)
    comm.synchronize()  # a process that leaves early takes the connection from the others
    dist.destroy_process_group()
    return result
