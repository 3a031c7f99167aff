"""What happens beside the training step. May use: torch, fvcore, detectron2."""

from __future__ import annotations

import datetime
import logging
import math
import operator
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from fvcore.common.checkpoint import Checkpointer
from fvcore.common.checkpoint import PeriodicCheckpointer as _PeriodicCheckpointer
from fvcore.common.param_scheduler import ParamScheduler
from fvcore.common.timer import Timer
from fvcore.nn.precise_bn import get_bn_modules, update_bn_stats
from torch import nn

import detectron2.utils.comm as comm
from detectron2.evaluation.testing import flatten_results_dict
from detectron2.solver import LRMultiplier
from detectron2.solver import LRScheduler as _LRScheduler
from detectron2.utils.events import EventStorage, EventWriter

from .train_loop import HookBase

__all__ = [
    "BestCheckpointer",
    "CallbackHook",
    "EvalHook",
    "IterationTimer",
    "LRScheduler",
    "PeriodicCheckpointer",
    "PeriodicWriter",
    "PreciseBN",
]

logger = logging.getLogger(__name__)

_Callback = Callable[[Any], Any]


def _is_due(trainer: Any, period: int) -> bool:
    """Whether a period ends with this iteration; a period of 0 never does."""
    return period > 0 and (trainer.iter + 1) % period == 0


def _is_last(trainer: Any) -> bool:
    return trainer.iter + 1 >= trainer.max_iter


class CallbackHook(HookBase):
    """Functions of the trainer as a hook."""

    def __init__(
        self,
        *,
        before_train: _Callback | None = None,
        after_train: _Callback | None = None,
        before_step: _Callback | None = None,
        after_step: _Callback | None = None,
    ):
        given = locals()
        names = ("before_train", "after_train", "before_step", "after_step")
        self._callbacks = {name: given[name] for name in names if given[name] is not None}

    def _call(self, name: str) -> None:
        if name in self._callbacks:
            self._callbacks[name](self.trainer)

    def before_train(self) -> None:
        self._call("before_train")

    def after_train(self) -> None:
        self._call("after_train")
        self._callbacks.clear()  # they may hold the trainer

    def before_step(self) -> None:
        self._call("before_step")

    def after_step(self) -> None:
        self._call("after_step")


class IterationTimer(HookBase):
    """Measures "time" of each step, and logs the sum; should be the first hook."""

    def __init__(self, warmup_iter: int = 3):
        """warmup_iter: iterations at the start that are not counted."""
        self._warmup_iter = warmup_iter
        self._step_timer = Timer()
        self._total_timer = Timer()  # of the steps, without the hooks
        self._start_time = time.perf_counter()

    def _restart(self) -> None:
        self._start_time = time.perf_counter()
        self._total_timer.reset()

    def before_train(self) -> None:
        self._restart()
        self._total_timer.pause()

    def before_step(self) -> None:
        self._step_timer.reset()
        self._total_timer.resume()

    def after_step(self) -> None:
        done = self.trainer.iter - self.trainer.start_iter + 1
        if done >= self._warmup_iter:
            self.trainer.storage.put_scalars(time=self._step_timer.seconds())
        else:
            self._restart()
        self._total_timer.pause()

    def after_train(self) -> None:
        whole, steps = time.perf_counter() - self._start_time, self._total_timer.seconds()
        done = self.trainer.iter + 1 - self.trainer.start_iter - self._warmup_iter
        if done > 0 and steps > 0:
            text = datetime.timedelta(seconds=int(steps))
            speed = steps / done
            message = "Overall training speed: %d iterations in %s (%.4f s / it)"
            logger.info(message, done, text, speed)
        logger.info(
            "Total training time: %s (%s on hooks)",
            datetime.timedelta(seconds=int(whole)),
            datetime.timedelta(seconds=int(whole - steps)),
        )


class PeriodicWriter(HookBase):
    """Makes the writers write, periodically and at the end; should be the last hook."""

    def __init__(self, writers: Sequence[EventWriter], period: int = 20):
        for writer in writers:
            assert isinstance(writer, EventWriter), f"Expected an EventWriter, got {writer!r}."
        self._writers = writers
        self._period = period

    def after_step(self) -> None:
        if _is_due(self.trainer, self._period) or _is_last(self.trainer):
            for writer in self._writers:
                writer.write()

    def after_train(self) -> None:
        for writer in self._writers:
            writer.write()  # what other hooks measured after the training
            writer.close()


class PeriodicCheckpointer(_PeriodicCheckpointer, HookBase):
    """fvcore's, as a hook."""

    def before_train(self) -> None:
        self.max_iter = self.trainer.max_iter

    def after_step(self) -> None:
        self.step(self.trainer.iter)


class BestCheckpointer(HookBase):
    """Saves the model whenever a metric is better than ever; comes after the ``EvalHook``."""

    def __init__(
        self,
        eval_period: int,
        checkpointer: Checkpointer,
        val_metric: str,
        mode: str = "max",
        file_prefix: str = "model_best",
    ):
        """Set what to watch.

        Args:
            eval_period: that of the ``EvalHook``.
            checkpointer: saves.
            val_metric: such as "bbox/AP50".
            mode: "max" or "min", which of two values is better.
            file_prefix: name of the checkpoint.
        """
        assert mode in ("max", "min"), f"Unknown mode {mode!r}: expected 'max' or 'min'."
        self._period = eval_period
        self._checkpointer = checkpointer
        self._val_metric = val_metric
        self._compare = operator.gt if mode == "max" else operator.lt
        self._file_prefix = file_prefix
        self.best_metric: float | None = None
        self.best_iter: int | None = None

    def after_step(self) -> None:
        if _is_due(self.trainer, self._period) and not _is_last(self.trainer):
            self._check()

    def after_train(self) -> None:
        if _is_last(self.trainer):
            self._check()

    def _check(self) -> None:
        name = self._val_metric
        if name not in self.trainer.storage.latest():
            logger.warning("Metric %s is not computed: no best checkpoint is saved by it.", name)
            return
        value, iteration = self.trainer.storage.latest()[name]
        if not math.isfinite(value):
            logger.info("%s is %s at iteration %d: not saved.", name, value, iteration)
        elif self.best_metric is None or self._compare(value, self.best_metric):
            self.best_metric, self.best_iter = value, iteration
            self._checkpointer.save(self._file_prefix, iteration=iteration)
            logger.info("Saved best model: %s is %.5f at iteration %d.", name, value, iteration)
        else:
            logger.info(
                "Not saving: %s is %.5f, not better than %.5f at iteration %d.",
                name,
                value,
                self.best_metric,
                self.best_iter,
            )


class LRScheduler(HookBase):
    """Steps the scheduler after every iteration, and writes "lr"."""

    def __init__(
        self,
        optimizer: torch.optim.Optimizer | None = None,
        scheduler: _LRScheduler | ParamScheduler | None = None,
    ):
        """What is None is taken from the trainer."""
        self._optimizer = optimizer
        self._scheduler = scheduler

    @property
    def scheduler(self) -> Any:
        return self._scheduler or self.trainer.scheduler

    def before_train(self) -> None:
        self._optimizer = self._optimizer or self.trainer.optimizer
        if isinstance(self.scheduler, ParamScheduler):
            last_iter = self.trainer.iter - 1
            self._scheduler = LRMultiplier(
                self._optimizer, self.scheduler, self.trainer.max_iter, last_iter=last_iter
            )
        self._group = self.get_best_param_group_id(self._optimizer)

    @staticmethod
    def get_best_param_group_id(optimizer: torch.optim.Optimizer) -> int:
        """The group to log: the largest; of groups of one, one with the most common rate."""
        groups = optimizer.param_groups
        sizes = [len(group["params"]) for group in groups]
        if max(sizes) > 1:
            return sizes.index(max(sizes))
        rates = [group["lr"] for group in groups]
        return rates.index(Counter(rates).most_common(1)[0][0])

    def after_step(self) -> None:
        rate = self._optimizer.param_groups[self._group]["lr"]  # type: ignore[union-attr]
        self.trainer.storage.put_scalar("lr", rate, smoothing_hint=False)
        self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict() if isinstance(self.scheduler, _LRScheduler) else {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if isinstance(self.scheduler, _LRScheduler):
            logger.info("Loading scheduler from state_dict ...")
            self.scheduler.load_state_dict(state_dict)


class EvalHook(HookBase):
    """Evaluates periodically, and at the end; must be in all processes or in none."""

    def __init__(
        self, eval_period: int, eval_function: Callable[[], Any], eval_after_train: bool = True
    ):
        """Set what to run.

        Args:
            eval_period: iterations from one evaluation to the next; 0 is only at the end.
            eval_function: returns a nested dict of numbers, or None.
            eval_after_train: whether to evaluate at the end.
        """
        self._period = eval_period
        self._func = eval_function
        self._eval_after_train = eval_after_train

    def after_step(self) -> None:
        if _is_due(self.trainer, self._period) and not _is_last(self.trainer):
            self._do_eval()

    def after_train(self) -> None:
        if self._eval_after_train and _is_last(self.trainer):  # not after a failure
            self._do_eval()
        del self._func  # it may hold the trainer

    def _do_eval(self) -> None:
        results = self._func()
        if results:
            assert isinstance(results, dict), f"Expected a dict of results, got {results!r}."
            scalars = {k: _to_float(k, v) for k, v in flatten_results_dict(results).items()}
            self.trainer.storage.put_scalars(**scalars, smoothing_hint=False)
        comm.synchronize()  # so that all start the next iteration together


def _to_float(name: str, value: Any) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise ValueError(
            "[EvalHook] eval_function should return a nested dict of float. "
            f"Got '{name}: {value}' instead."
        ) from error


class PreciseBN(HookBase):
    """Replaces the running statistics of batch norm by averages over some batches."""

    def __init__(self, period: int, model: nn.Module, data_loader: Iterable, num_iter: int):
        """Set what to average over.

        Args:
            period: iterations from one run to the next; 0 is only at the end.
            model: its batch norms in training mode are updated.
            data_loader: its own, so that training sees the same data as without this hook.
            num_iter: batches.
        """
        self._disabled = not get_bn_modules(model)
        if self._disabled:
            logger.info("PreciseBN is disabled: the model has no batch norm in training mode.")
        self._period = period
        self._model = model
        self._batches = (batch for loader in [data_loader] for batch in loader)  # starts late
        self._num_iter = num_iter

    def after_step(self) -> None:
        if _is_due(self.trainer, self._period) or _is_last(self.trainer):
            self.update_stats()

    def update_stats(self) -> None:
        """Update now."""
        if self._disabled:
            return
        logger.info("Running precise-BN for %d iterations ...", self._num_iter)
        with EventStorage():  # what the model writes meanwhile is not of the training
            update_bn_stats(self._model, self._batches, self._num_iter)
