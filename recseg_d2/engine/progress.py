"""Hooks that act on how training goes: curriculum, best checkpoint, early end.

Their state is in the checkpoint.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from detectron2.engine import HookBase
from torch import nn

from recseg_d2.engine.hooks import unwrap

logger = logging.getLogger(__name__)


class TrainingEnded(BaseException):
    """Raised by a hook to end training in good order.

    Not an ``Exception``: Detectron2's loop reports those as failures.
    """


class Plateau:
    """Counts evaluations without improvement of a value.

    Args:
        patience: evaluations without improvement that make a plateau.
        higher_is_better: direction.
    """

    def __init__(self, patience: int, higher_is_better: bool = False) -> None:
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
        """For the checkpoint."""
        return {"best": self.best, "waited": self.waited}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self.best, self.waited = state["best"], state["waited"]


def latest_value(trainer: Any, metric: str) -> float | None:
    """The metric's value if it was put in this iteration."""
    value, iteration = trainer.storage.latest().get(metric, (None, -1))
    return value if iteration == trainer.iter else None


class Curriculum(HookBase):
    """Raises the number of objects that the model is to predict (Salvador et al. 2017, 3.3).

    Has to come after the hooks that produce the metric.

    Args:
        model: has ``steps`` and ``step_limit``.
        start: objects at first.
        every: iterations between two raises; 0 waits for a plateau of the metric instead.
        plateau: of the metric.
        metric: name in the storage.
    """

    def __init__(
        self, model: nn.Module, start: int, every: int, plateau: Plateau, metric: str
    ) -> None:
        self._model = unwrap(model)
        self._start = start
        self._every = every
        self._plateau = plateau
        self._metric = metric
        self._raised = 0

    def before_step(self) -> None:
        """Tell the model; by iterations, the limit is a function of the iteration alone."""
        if self._every:
            self._raised = self.trainer.iter // self._every
        self._model.step_limit = min(self._start + self._raised, self._model.steps)

    def after_step(self) -> None:
        """Log the limit, and raise it on a plateau."""
        self.trainer.storage.put_scalar("step_limit", self._model.step_limit, smoothing_hint=False)
        value = None if self._every else latest_value(self.trainer, self._metric)
        if value is None or self._model.step_limit >= self._model.steps:
            return
        self._plateau.improved(value)
        if self._plateau.reached:
            self._raised += 1
            self._plateau.reset()  # a longer sequence has another loss
            logger.info("Curriculum: %d objects from now on", self._start + self._raised)

    def after_train(self) -> None:
        """Evaluation and further use have no limit."""
        self._model.step_limit = self._model.steps

    @property
    def complete(self) -> bool:
        """Whether the model is asked for all its steps."""
        return self._start + self._raised >= self._model.steps

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"raised": self._raised, **self._plateau.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._raised = state["raised"]
        self._plateau.load_state_dict(state)


class BestCheckpoint(HookBase):
    """Keeps the best model, and ends training when the metric no longer improves.

    Has to come after the hooks that produce the metric and before the writers.

    Args:
        metric: name in the storage; a warning says so if no evaluation produced it.
        plateau: of the metric; a patience of 0 never ends training.
        save_best: stores the model as the best one so far.
        finish: called before training ends early, with the best model stored.
    """

    def __init__(
        self,
        metric: str,
        plateau: Plateau,
        save_best: Callable[[], None],
        finish: Callable[[], None],
    ) -> None:
        self._metric = metric
        self._plateau = plateau
        self._save_best = save_best
        self._finish = finish

    def after_step(self) -> None:
        """Look at the metric where it was evaluated."""
        self._look()
        if self._plateau.reached and self.trainer.iter + 1 < self.trainer.max_iter:
            logger.info(
                "%s has not improved over %d evaluations: training ends at iteration %d.",
                self._metric,
                self._plateau.patience,
                self.trainer.iter,
            )
            self.trainer.max_iter = self.trainer.iter + 1
            self._finish()
            raise TrainingEnded

    def after_train(self) -> None:
        """The last evaluation comes after the last step."""
        self._look()
        if self._plateau.best is None:
            found = ", ".join(sorted(n for n in self.trainer.storage.latest() if "/" in n))
            logger.warning(
                "SOLVER.PLATEAU.METRIC is %s, which no evaluation produced (found: %s): there is "
                "no best model.", self._metric, found or "none",
            )  # fmt: skip

    def _look(self) -> None:
        value = latest_value(self.trainer, self._metric)
        if value is not None and self._plateau.improved(value):
            self._save_best()

    def state_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return self._plateau.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """From a checkpoint."""
        self._plateau.load_state_dict(state)
