"""Hooks of the trainer; each says what it needs to run before it.

All of them keep their state in the checkpoint, so that a resumed run goes on as if never stopped.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from detectron2.engine import HookBase, hooks
from detectron2.evaluation import inference_context
from detectron2.utils import comm
from torch import nn
from torch.utils.hooks import RemovableHandle

logger = logging.getLogger(__name__)


def unwrap(model: nn.Module) -> Any:
    """The model inside a distributed wrapper, or the model itself."""
    return getattr(model, "module", model)


class StepSeed(HookBase):
    """Seeds torch before each training forward from (seed, iteration, process, part).

    So a step's random numbers do not depend on how many steps this process ran before, and a
    resumed run draws what the uninterrupted one would have drawn. The seed is set when the batch is
    there already: making a data loader's iterator draws a number itself.

    Args:
        seed: of the run, 0 or more.
        model: may be a distributed wrapper.
        position: gives the number of the forward pass that comes.
    """

    def __init__(self, seed: int, model: nn.Module, position: Callable[[], int]) -> None:
        self._seed = seed
        self._position = position
        self._model = unwrap(model)
        self._handle: RemovableHandle | None = None

    def before_train(self) -> None:
        """Set the seed of every forward pass in training from here on."""
        self._handle = self._model.register_forward_pre_hook(self._set)

    def after_train(self) -> None:
        """Leave the model's forward pass as it was before."""
        if self._handle is not None:
            self._handle.remove()

    def _set(self, model: nn.Module, inputs: Any) -> None:
        if model.training:
            torch.manual_seed((self._seed * 2_000_003 + self._position()) % 2**63)


class TellIteration(HookBase):
    """Tells the model which iteration of training it is in, as schedules inside of it need."""

    def __init__(self, model: nn.Module) -> None:
        self._model = unwrap(model)

    def before_step(self) -> None:
        """Set the model's ``iteration``."""
        self._model.iteration = self.trainer.iter


class FreezeNorms(HookBase):
    """Keeps the statistics of batch norms whose parameters are frozen as they are."""

    def __init__(self, model: nn.Module) -> None:
        self._frozen = [
            m
            for m in model.modules()
            if isinstance(m, nn.modules.batchnorm._BatchNorm)
            and not any(p.requires_grad for p in m.parameters())
        ]

    def before_step(self) -> None:
        """Evaluation switches the whole model back to training mode, so this is done each step."""
        for module in self._frozen:
            module.eval()


class WeightAverage(HookBase):
    """Exponential moving average of the weights, used for evaluation and in the end.

    Batch-norm statistics are averaged like weights. ``applied()`` swaps the average in; after
    training the model keeps it, and ``save`` is called to store it. It has to come before the hook
    that evaluates.

    Args:
        model: the model to average, maybe in a wrapper for distributed training.
        decay: share of the average that a step keeps, in [0, 1); smaller in the first steps.
        save: called once after training with the average in the model.
    """

    def __init__(self, model: nn.Module, decay: float, save: Callable[[], None]) -> None:
        self._model = unwrap(model)
        self._decay = decay
        self._save = save
        self._average = {k: v.detach().clone() for k, v in self._floats()}

    def _floats(self) -> Iterator[tuple[str, torch.Tensor]]:
        return ((k, v) for k, v in self._model.state_dict().items() if v.is_floating_point())

    @torch.no_grad()
    def after_step(self) -> None:
        """Move the average towards the weights."""
        decay = min(self._decay, (1 + self.trainer.iter) / (10 + self.trainer.iter))
        values = [v.detach() for _, v in self._floats()]
        torch._foreach_lerp_(list(self._average.values()), values, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights inside this context."""
        own = {k: v.detach().clone() for k, v in self._floats()}
        self._model.load_state_dict(self._average, strict=False)
        try:
            yield
        finally:
            self._model.load_state_dict(own, strict=False)

    def after_train(self) -> None:
        """Leave the average in the model, and store it, unless training broke off."""
        if is_done(self.trainer):
            self._model.load_state_dict(self._average, strict=False)
            self._save()

    def state_dict(self) -> dict[str, Any]:
        """The average, for the checkpoint."""
        return {"average": self._average}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a checkpoint's average."""
        for name, value in state["average"].items():
            self._average[name].copy_(value)


class ValidationLoss(HookBase):
    """The training loss on validation data, without gradients and without touching batch norm.

    Puts ``val_loss/<term>`` and ``val_loss/total_loss`` into the storage. It has to come before
    hooks that look at them.

    Args:
        period: iterations between two evaluations; 0 evaluates at the end only.
        model: a model with ``losses(batch)``.
        loader: called for a fresh loader of batches with ground truth.
        context: gives what is entered during the evaluation, as a ``WeightAverage``'s ``applied``.
    """

    def __init__(
        self,
        period: int,
        model: nn.Module,
        loader: Callable[[], Iterable[list[dict[str, Any]]]],
        context: Callable[[], Any],
    ) -> None:
        self._period = period
        self._model = model
        self._loader = loader
        self._context = context

    def after_step(self) -> None:
        """Evaluate where it is time to."""
        if at_evaluation(self.trainer, self._period):
            self.trainer.storage.put_scalars(**self.measure(), smoothing_hint=False)

    def measure(self) -> dict[str, float]:
        """Mean losses over the images of all processes."""
        sums: dict[str, float] = {}
        images = 0
        with self._context(), inference_context(self._model), torch.no_grad():
            for batch in self._loader():
                images += len(batch)
                with torch.random.fork_rng(devices=[]):
                    torch.manual_seed(0)  # whatever is drawn, is drawn for each image alike
                    losses = unwrap(self._model).losses(batch)
                for name, value in losses.items():
                    sums[name] = sums.get(name, 0.0) + float(value) * len(batch)
        gathered = comm.all_gather((sums, images))
        total = sum(count for _, count in gathered)
        names = sorted({name for part, _ in gathered for name in part})
        means = {n: sum(part.get(n, 0.0) for part, _ in gathered) / max(total, 1) for n in names}
        return {
            **{f"val_loss/{name.removeprefix('loss_')}": value for name, value in means.items()},
            "val_loss/total_loss": sum(means.values()),
        }


class EvaluateAtEnd(hooks.EvalHook):
    """Detectron2's evaluation, which is not the last one where the last iteration broke off."""

    def after_train(self) -> None:
        """Evaluate what the training ended with."""
        if is_done(self.trainer):
            super().after_train()


def is_done(trainer: Any) -> bool:
    """Whether all iterations were done: the loop then leaves ``iter`` at ``max_iter``."""
    return trainer.iter >= trainer.max_iter


def at_evaluation(trainer: Any, period: int) -> bool:
    """Whether this iteration is followed by an evaluation: each ``period``, and the last."""
    next_iter = trainer.iter + 1
    return (period > 0 and next_iter % period == 0) or next_iter >= trainer.max_iter
