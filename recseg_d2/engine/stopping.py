"""Signals that ask a training to stop: it ends the iteration, saves, and says where to go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import torch
from detectron2.engine import HookBase
from detectron2.utils import comm

from recseg_d2.engine.checkpoints import FINAL, RunCheckpointer
from recseg_d2.errors import Stopped

# Clusters announce the end of a job by SIGTERM or SIGUSR1; SIGINT is Ctrl-C.
SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGTERM", "SIGUSR1", "SIGINT") if hasattr(signal, name)
)


class StopRequests:
    """Signals received by this process.

    Attributes:
        received: number of the first signal that came; 0 before.
        deferred: whether somebody looks at ``received`` soon; otherwise a signal raises
            ``Stopped`` where it comes, as a second one always does.
    """

    def __init__(self) -> None:
        self.received = 0
        self.deferred = False
        self._process = os.getpid()

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signal handler. Workers that load data have inherited it, and are none of ours."""
        if os.getpid() != self._process:
            if number == signal.SIGTERM:
                signal.signal(number, signal.SIG_DFL)
                os.kill(os.getpid(), number)
            return
        again = self.received and number == signal.SIGINT
        self.received = self.received or number
        if again or not self.deferred:
            raise Stopped(number)


@contextmanager
def listening() -> Iterator[StopRequests]:
    """Inside, signals that ask for the end are received; to be used in the main thread."""
    requests = StopRequests()
    before = {number: signal.signal(number, requests.handle) for number in SIGNALS}
    try:
        yield requests
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def passing_on() -> Iterator[list[int]]:
    """Inside, signals go to the child processes, which end by themselves; gives those that came.

    A Ctrl-C in a terminal reaches the children anyway; they take a second request as the first.
    """
    received: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        for child in multiprocessing.active_children():
            if child.pid is not None:
                os.kill(child.pid, signal.SIGTERM)

    before = {number: signal.signal(number, forward) for number in SIGNALS}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class StopOnRequest(HookBase):
    """Ends training after the iteration in which a signal came to any of the processes.

    It has to come after every hook that has state, and before the writers.

    Args:
        requests: the signals that this process got.
        checkpointer: stores the state of the training.
    """

    def __init__(self, requests: StopRequests, checkpointer: RunCheckpointer) -> None:
        self._requests = requests
        self._checkpointer = checkpointer

    def before_train(self) -> None:
        """From now on somebody looks."""
        self._requests.deferred = True

    def after_step(self) -> None:
        """Save and end where a signal came; the last iteration has been saved already."""
        last = self.trainer.iter + 1 >= self.trainer.max_iter
        number = self._agreed()
        if number:
            name = f"model_{self.trainer.iter:07d}"
            if last:
                name = Path(FINAL).stem
            else:
                self._checkpointer.save(name, iteration=self.trainer.iter)
            comm.synchronize()  # a process that leaves early may take the others with it
            raise Stopped(number, str(Path(self._checkpointer.save_dir) / f"{name}.pth"))
        self._requests.deferred = not last  # what is left is evaluation, which can be repeated

    def after_train(self) -> None:
        """Nobody looks any longer."""
        self._requests.deferred = False

    def _agreed(self) -> int:
        """The signal of any process: all have to end in the same iteration."""
        number = self._requests.received
        if comm.get_world_size() == 1:
            return number
        device = "cuda" if torch.distributed.get_backend() == "nccl" else "cpu"
        shared = torch.tensor(number, device=device)
        torch.distributed.all_reduce(shared, op=torch.distributed.ReduceOp.MAX)
        return int(shared)
