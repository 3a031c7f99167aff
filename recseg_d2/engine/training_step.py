"""One iteration of training: a batch, in parts if need be, its gradients, an update."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from detectron2.engine import SimpleTrainer
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from recseg_d2.engine.hooks import unwrap
from recseg_d2.engine.loss_guard import NonfiniteGuard
from recseg_d2.losses.batch_parts import counting, given_counts, mean_over_processes

logger = logging.getLogger(__name__)

Losses = dict[str, torch.Tensor]


class TrainingStep(SimpleTrainer):
    """Detectron2's ``SimpleTrainer`` with accumulation, float16, and a guard against NaN.

    Args:
        model: the model, maybe in a wrapper for distributed training.
        data_loader: yields lists of dicts, this process's share of each batch.
        optimizer: the optimiser, which clips gradients itself, where they are clipped.
        parts: that a process computes its share in; it has to be a multiple of them.
        float16: whether losses have to be scaled, so that small gradients are not 0.
        guard: decides what becomes of losses that are not finite.

    Attributes:
        part: number of the part that is being computed, from 0.
    """

    def __init__(
        self,
        model: nn.Module,
        data_loader: Iterable,
        optimizer: torch.optim.Optimizer,
        parts: int,
        float16: bool,
        guard: NonfiniteGuard,
    ) -> None:
        super().__init__(model, data_loader, optimizer)
        self.parts = parts
        self.part = 0
        self.guard = guard
        device = next(model.parameters()).device.type
        self.grad_scaler = torch.amp.GradScaler(device, enabled=float16)
        self._has_counts = True

    def run_step(self) -> None:
        """See the class.

        Raises:
            NonfiniteLoss: the guard stops the training.
        """
        assert self.model.training, "the model was changed to evaluation mode"
        start = time.perf_counter()
        batch = next(self._data_loader_iter)
        data_time = time.perf_counter() - start
        self.optimizer.zero_grad()
        self.guard.begin(self.model)
        losses = self._compute_gradients(batch)
        if not self.guard.passes(losses, batch, self.model, self.iter):
            self.optimizer.zero_grad()
            return
        self.after_backward()
        self.write_metrics(losses, data_time, self.iter)
        self.grad_scaler.unscale_(self.optimizer)  # before the optimizer clips
        self.grad_scaler.step(self.optimizer)
        self.grad_scaler.update()

    def _compute_gradients(self, batch: Sequence[dict[str, Any]]) -> Losses:
        """Gradients of the mean over the parts; the losses' means."""
        size = len(batch) // self.parts
        parts = [batch[i * size : (i + 1) * size] for i in range(self.parts)]
        means: Losses = {}
        counts = self._counts(parts)
        for self.part, part in enumerate(parts):
            with self._apart(last=self.part + 1 == self.parts):
                with given_counts(counts):
                    losses = self.model(part)
                self.grad_scaler.scale(sum(losses.values()) / self.parts).backward()
            for name, value in losses.items():
                means[name] = means.get(name, 0) + value.detach() / self.parts
        self.part = 0
        return means

    def _apart(self, last: bool) -> AbstractContextManager[None]:
        """Processes exchange the gradients of the last part, which are those of all."""
        if last or not isinstance(self.model, DistributedDataParallel):
            return nullcontext()
        return self.model.no_sync()

    @torch.no_grad()
    def _counts(self, parts: Sequence[Sequence[dict[str, Any]]]) -> Sequence[torch.Tensor]:
        """What the losses of all parts are to be divided by, from a forward pass of each.

        A model whose losses are means over images alone has none, and is asked once.
        """
        if self.parts == 1 or not self._has_counts:
            return ()
        model = unwrap(self.model)
        buffers = {name: value.clone() for name, value in model.named_buffers()}
        found = []
        for self.part, part in enumerate(parts):
            with counting() as counts:
                model(part)
            found.append(counts)
        for name, value in model.named_buffers():
            value.copy_(buffers[name])
        self._has_counts = bool(found[0])
        if not self._has_counts:
            return ()
        means = torch.stack([torch.stack(counts).float() for counts in found]).mean(dim=0)
        return list(mean_over_processes(means))

    def state_dict(self) -> dict[str, Any]:
        """Detectron2's, and of the scaler in float16."""
        scaler = {"grad_scaler": self.grad_scaler.state_dict()}
        return {**super().state_dict(), **(scaler if self.grad_scaler.is_enabled() else {})}

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """From a checkpoint, of another precision as well."""
        super().load_state_dict(state_dict)
        if self.grad_scaler.is_enabled() and "grad_scaler" in state_dict:
            self.grad_scaler.load_state_dict(state_dict["grad_scaler"])
