"""Starting one or many processes, on GPUs or on CPUs."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from detectron2.engine import defaults
from detectron2.engine import launch as detectron2_launch
from detectron2.utils import comm
from torch.multiprocessing import ProcessExitedException

from recseg_d2.engine.stopping import passing_on
from recseg_d2.errors import Stopped, UserError

Main = Callable[[argparse.Namespace], Any]


def launch(main: Main, args: argparse.Namespace) -> Any:
    """Run ``main(args)`` in as many processes as asked for.

    Under torchrun the processes exist already and are joined by its environment variables; gloo
    connects them where there is no GPU. Otherwise ``--num-gpus`` and its kin start them through
    Detectron2; where a single machine has fewer GPUs than asked for, one process trains on what
    there is, and a line says so.

    Returns:
        What ``main`` returns; None where other processes ran it.

    Raises:
        UserError: several machines, and this one has fewer GPUs than asked for.
        SystemExit: with 2, when a process ended with a ``UserError``, which it has printed.
        Stopped: a signal ended the processes.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return _join_torchrun(main, args)
    found = torch.cuda.device_count()
    if args.num_machines > 1 and found < max(args.num_gpus, 1):  # each would train alone
        raise UserError(
            f"--num-machines {args.num_machines} --num-gpus {args.num_gpus}, but this machine has "
            f"{found} GPUs; give a number that each machine has, or start the processes by "
            "torchrun, which works on CPUs as well."
        )
    if args.num_gpus > 1 and found < args.num_gpus:
        print(
            f"--num-gpus {args.num_gpus}, but {found} found: training in one process"
            f"{'' if found else ' on the CPU'}."
        )
        args.num_gpus = min(found, 1)
    if args.num_gpus * args.num_machines <= 1:
        return main(args)  # in this process, so that errors come through as they are
    return _start(main, args)


def join(main: Main, args: argparse.Namespace) -> Any:
    """Run ``main(args)`` in the processes that torchrun has started, or in this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) > 1:
        return _join_torchrun(main, args)
    return main(args)


def _start(main: Main, args: argparse.Namespace) -> None:
    with passing_on() as signals:
        try:
            detectron2_launch(
                _run_in_child,
                args.num_gpus,
                num_machines=args.num_machines,
                machine_rank=args.machine_rank,
                dist_url=args.dist_url,
                args=(main, args),
            )
        except ProcessExitedException as error:
            if error.exit_code == 2:
                raise SystemExit(2) from error
            if not signals:
                raise
    if signals:
        raise Stopped(signals[0], "OUTPUT_DIR")  # the processes have said which file


def _run_in_child(main: Main, args: argparse.Namespace) -> None:
    """Errors of the user are printed by the process that met them, without a traceback."""
    try:
        main(args)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Stopped as error:
        if comm.is_main_process():
            print(error, file=sys.stderr)


def _join_torchrun(main: Main, args: argparse.Namespace) -> Any:
    on_gpu = torch.cuda.is_available()
    if on_gpu:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if on_gpu else "gloo", init_method="env://")
    comm.create_local_process_group(int(os.environ.get("LOCAL_WORLD_SIZE", "1")))
    comm.synchronize()
    result = main(args)
    comm.synchronize()  # a process that leaves early takes the connection from the others
    dist.destroy_process_group()
    return result


@contextmanager
def without_device_ids(device: str) -> Iterator[None]:
    """Inside, models on CPUs are shared by processes too.

    Detectron2 names a GPU for every process, which PyTorch refuses for a model that is on none.
    """
    wrap = defaults.create_ddp_model
    if torch.device(device).type == "cpu":
        defaults.create_ddp_model = partial(wrap, device_ids=None)
    try:
        yield
    finally:
        defaults.create_ddp_model = wrap
