"""Hooks that act on how training goes: curriculum, best checkpoint, early end.

Their state is in the checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from detectron2.engine import HookBase
from torch import nn

from recseg_d2.engine.hooks import is_done, unwrap

logger = logging.getLogger(__name__)


class TrainingEnded(BaseException):
    """Raised by a hook to end training in good order.

    Not an ``Exception``: Detectron2's loop reports those as failures.
    """


class Plateau:
    """Counts evaluations without improvement of a value.

    Args:
        patience: evaluations without improvement that make a plateau.
        higher_is_better: whether a greater value of the metric is an improvement.
    """

    def __init__(self, patience: int, higher_is_better: bool) -> None:
        self.patience = patience
        self._sign = 1.0 if higher_is_better else -1.0
        self.best: float | None = None
        self.waited = 0

    def improved(self, value: float) -> bool:
        """Take in one evaluation; whether it is the best so far."""
        better = self.best is None or self._sign * value > self._sign * self.best
        self.best, self.waited = (value, 0) if better else (self.best, self.waited + 1)
        return better

    @property
    def reached(self) -> bool:
        """Whether the patience is used up."""
        return self.patience > 0 and self.waited >= self.patience

    def reset(self) -> None:
        """Forget the past, as after a change of what is measured."""
        self.best, self.waited = None, 0

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run goes on as if never stopped."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        self.best, self.waited = state["best"], state["waited"]


def latest_value(trainer: Any, metric: str) -> float | None:
    """The metric's value if it was put in this iteration."""
    value, iteration = trainer.storage.latest().get(metric, (None, -1))
    return value if iteration == trainer.iter else None


class Curriculum(HookBase):
    """Raises the number of objects that the model is to predict (Salvador et al. 2017, 3.3).

    Has to come after the hooks that produce the metric.

    Args:
        model: a model with ``steps`` and ``step_limit``.
        start: number of objects to predict at first.
        end: number of objects at last; 0 is all of the model's steps.
        every: iterations between two raises; 0 waits for a plateau of the metric instead.
        plateau: tells when the metric no longer improves.
        metric: name of the metric in the event storage.

    Attributes:
        limit: objects that the model is asked for in this iteration.
    """

    def __init__(
        self, model: nn.Module, start: int, end: int, every: int, plateau: Plateau, metric: str
    ) -> None:
        self._model = unwrap(model)
        self._start = start
        self._end = min(end or self._model.steps, self._model.steps)
        self.limit = min(start, self._end)
        self._every = every
        self._plateau = plateau
        self._metric = metric
        self._raised = 0

    def before_step(self) -> None:
        """Tell the model; by iterations, the limit is a function of the iteration alone."""
        if self._every:
            self._raised = self.trainer.iter // self._every
        self.limit = self._model.step_limit = min(self._start + self._raised, self._end)

    def after_step(self) -> None:
        """Log the limit, and raise it on a plateau."""
        self.trainer.storage.put_scalar("step_limit", self.limit, smoothing_hint=False)
        value = None if self._every else latest_value(self.trainer, self._metric)
        if value is None or self.complete:
            return
        self._plateau.improved(value)
        if self._plateau.reached:
            self._raised += 1
            self._plateau.reset()  # a longer sequence has another loss
            logger.info("Curriculum: %d objects from now on", self._start + self._raised)

    def after_train(self) -> None:
        """Evaluation and further use have no limit."""
        self._model.step_limit = self._model.steps
        if not self.complete and is_done(self.trainer):
            logger.warning(
                "The curriculum came to %d of %d objects: SOLVER.MAX_ITER ended training first.",
                self.limit, self._end,
            )  # fmt: skip

    @property
    def complete(self) -> bool:
        """Whether the model is asked for as many as it ever will be."""
        return self.limit >= self._end

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run goes on as if never stopped."""
        return {"raised": self._raised, **self._plateau.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        self._raised = state["raised"]
        self._plateau.load_state_dict(state)


class BestCheckpoint(HookBase):
    """Keeps the best model, and ends training when the metric no longer improves.

    Has to come after the hooks that produce the metric and before the writers.

    Args:
        metric: name in the storage; a warning says so if no evaluation produced it.
        plateau: tells when the metric no longer improves; a patience of 0 never ends training.
        save_best: stores the model as the best one so far.
        finish: called before training ends early, with the best model stored.
        curriculum: that training follows. Models that were asked for another number of objects are
            not compared, and training does not end early before it is complete.
    """

    def __init__(
        self,
        metric: str,
        plateau: Plateau,
        save_best: Callable[[], None],
        finish: Callable[[], None],
        curriculum: Curriculum | None = None,
    ) -> None:
        self._curriculum = curriculum
        self._limit: int | None = None  # of the models that are compared
        self._metric = metric
        self._plateau = plateau
        self._save_best = save_best
        self._finish = finish

    def after_step(self) -> None:
        """Look at the metric where it was evaluated."""
        self._look()
        ended = self._curriculum is None or self._curriculum.complete
        if ended and self._plateau.reached and self.trainer.iter + 1 < self.trainer.max_iter:
            logger.info(
                "%s has not improved over %d evaluations: training ends at iteration %d.",
                self._metric,
                self._plateau.patience,
                self.trainer.iter,
            )
            self._finish()
            raise TrainingEnded

    def after_train(self) -> None:
        """The last evaluation comes after the last step."""
        self._look()
        if self._plateau.best is None and is_done(self.trainer):
            found = ", ".join(sorted(n for n in self.trainer.storage.latest() if "/" in n))
            logger.warning(
                "SOLVER.PLATEAU.METRIC is %s, which no evaluation produced (found: %s): there is "
                "no best model.", self._metric, found or "none",
            )  # fmt: skip

    def _look(self) -> None:
        value = latest_value(self.trainer, self._metric)
        if value is None:
            return
        if self._curriculum and self._curriculum.limit != self._limit:
            self._limit = self._curriculum.limit
            self._plateau.reset()
        if self._plateau.improved(value):
            self._save_best()

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a resumed run goes on as if never stopped."""
        return {"limit": self._limit, **self._plateau.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what ``state_dict`` gave."""
        self._limit = state["limit"]
        self._plateau.load_state_dict(state)
