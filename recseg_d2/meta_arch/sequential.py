"""What every model that finds objects one at a time, at a fixed resolution, shares.

Shape letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances
from torch import nn

from recseg_d2.config import read_options
from recseg_d2.config.options import SequentialOptions
from recseg_d2.data.annotations import IGNORED
from recseg_d2.errors import UserError
from recseg_d2.layers.compiled import CompiledStep, missing_compiler
from recseg_d2.layers.cuda_graph import RecordedRun
from recseg_d2.layers.images import resize_image
from recseg_d2.losses.ignored import without_ignored
from recseg_d2.losses.targets import build_targets, in_order
from recseg_d2.meta_arch.base import (
    MetaArchitecture,
    ignored_pixels,
    make_instances,
    mask_tensor,
    output_size,
)
from recseg_d2.postprocess import postprocess
from recseg_d2.structures import InstanceSequence, InstanceTargets

logger = logging.getLogger(__name__)


class SequentialModel(MetaArchitecture):
    """Skeleton of a sequential model; a subclass gives ``run_sequence`` and ``sequence_losses``.

    Images of any size come in: the model works at one resolution, resizes to it itself, and
    returns masks at the size that each dict asks for.

    Args:
        sequential: the working resolution, the number of steps, and how a sequence becomes masks.
        shared: arguments of ``MetaArchitecture``, passed on.
    """

    ordered = True
    score_key = "MODEL.SEQUENTIAL.TEST.SCORE_THRESH"

    def __init__(self, *, sequential: SequentialOptions, **shared: Any) -> None:
        super().__init__(**shared)
        self.image_size = sequential.image_size
        self.steps = sequential.steps
        self.recompute_steps = sequential.recompute_steps
        self._compiles = sequential.compile_steps
        self._compiled: CompiledStep | None = None
        self._recorded: RecordedRun | None = None
        if sequential.cuda_graphs:
            self._recorded = RecordedRun(self._run_all, self._tensors)
        self.max_objects = sequential.kept_objects
        self.order = sequential.order
        self.step_limit = self.steps  # objects to predict in training; a curriculum may lower it
        self.iteration = 0  # of training; the trainer keeps it up to date
        self.test_options = sequential.test

    @classmethod
    def shared_arguments(cls, cfg: CfgNode) -> dict[str, Any]:
        """The constructor's arguments from MODEL and MODEL.SEQUENTIAL."""
        sequential = read_options(cfg, SequentialOptions)
        return {**super().shared_arguments(cfg), "sequential": sequential}

    def set_score_thresh(self, least: float) -> None:
        """End sequences at the first step scored below this, 0 to 1, from now on."""
        self.test_options = replace(self.test_options, score_thresh=least)

    def run_sequence(
        self, images: torch.Tensor, steps: int, stop_threshold: float | None = None
    ) -> InstanceSequence:
        """Normalised images to a sequence.

        Args:
            images: (B, channels, H, W) normalised images at the working resolution.
            steps: number of steps to run at most.
            stop_threshold: where given, steps may end once every image had one scored below it, in
                [0, 1].
        """
        raise TypeError(f"{type(self).__name__} has to define run_sequence.")

    def compile_steps(self, network: Any) -> None:
        """Let inference compile a network's step, its ``_step``, where COMPILE_STEPS asks for it.

        Raises:
            UserError: it is asked for, and the machine lacks what compiling needs.
        """
        if not self._compiles:
            return
        missing = missing_compiler(self.device)
        if missing is not None:
            raise UserError(
                f"MODEL.SEQUENTIAL.COMPILE_STEPS is True, which needs {missing}, and there is "
                "none: install it, or set COMPILE_STEPS False."
            )
        network._step = self._compiled = CompiledStep(network._step)

    def run_with_targets(
        self, images: torch.Tensor, lengths: list[int], targets: InstanceTargets
    ) -> InstanceSequence:
        """The sequence that losses are computed of.

        Args:
            images: (B, channels, H, W) normalised images at the working resolution.
            lengths: steps that each image needs, the longest first; what an image's later steps
                hold is not looked at.
            targets: the true objects of the same images, for models that are fed back what they
                should have found.
        """
        return self.run_sequence(images, lengths[0])

    def training_lengths(self, targets: InstanceTargets) -> list[int]:
        """Steps that each image needs: one more than it has objects, to learn to stop."""
        return [min(n + 1, self.step_limit) for n in targets.counts.tolist()]

    def sequence_losses(
        self, sequence: InstanceSequence, targets: InstanceTargets
    ) -> dict[str, torch.Tensor]:
        """Weighted loss terms of a sequence."""
        raise TypeError(f"{type(self).__name__} has to define sequence_losses.")

    def losses(self, batched_inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Loss terms of a batch with ground truth, in training mode or not."""
        targets = self.targets(batched_inputs)
        # images that need fewer steps come last, so that late steps run on a slice of the batch
        order = torch.argsort(targets.counts, descending=True, stable=True)
        targets = targets.take(order)
        images = self.images(batched_inputs)[order]
        with self.in_precision():
            sequence = self.run_with_targets(images, self.training_lengths(targets), targets)
        sequence = sequence.float()
        if any(IGNORED in x for x in batched_inputs):
            ignored = self._ignored(batched_inputs)[order]
            sequence = self.without_ignored(sequence, ignored, targets)
        return self.sequence_losses(sequence, targets)

    def without_ignored(
        self, sequence: InstanceSequence, ignored: torch.Tensor, targets: InstanceTargets
    ) -> InstanceSequence:
        """A sequence whose losses have no gradient in ignored pixels, (B, H, W) bool."""
        return without_ignored(sequence, ignored, targets.counts)

    def _ignored(self, batched_inputs: list[dict[str, Any]]) -> torch.Tensor:
        """Ignored pixels at the working resolution, (B, H, W) bool."""
        size = self.image_size
        nothing = torch.zeros(size, dtype=torch.bool)
        found = [ignored_pixels(x, size) for x in batched_inputs]
        return torch.stack([nothing if f is None else f.cpu() for f in found]).to(self.device)

    def inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Predictions for a batch, each at the size its dict asks for."""
        return self._outputs(batched_inputs, self._sequence(batched_inputs, self.run_sequence))

    def traced_inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same predictions, each with what figures show of how the model came by it.

        Returns:
            for each image "instances", and "trace": what the model's sequence has in its ``trace``,
            with the "masks" (T, H, W) and "scores" (T,) of all steps as probabilities; empty where
            the model leaves no trace.
        """
        sequence = self._sequence(batched_inputs, self.traced_sequence)
        outputs: list[dict[str, Any]] = self._outputs(batched_inputs, sequence)
        for i, output in enumerate(outputs):
            output["trace"] = {name: values[i] for name, values in sequence.trace.items()}
            if output["trace"]:
                output["trace"]["masks"] = sequence.mask_logits[i].sigmoid()
                output["trace"]["scores"] = sequence.score_logits[i].sigmoid()
        return outputs

    def traced_sequence(
        self, images: torch.Tensor, steps: int, stop_threshold: float | None = None
    ) -> InstanceSequence:
        """``run_sequence`` with the trace that the model leaves, if it leaves one."""
        return self.run_sequence(images, steps, stop_threshold)

    def _sequence(
        self, batched_inputs: list[dict[str, Any]], run: Callable[..., InstanceSequence]
    ) -> InstanceSequence:
        images = self.images(batched_inputs)
        compiled = nullcontext() if self._compiled is None else self._compiled.inference()
        started = time.perf_counter()
        with self.in_precision(), compiled:
            if self._recorded is not None and self._may_replay(images, run):
                found = self._recorded(images)
            else:
                found = run(images, self.steps, self.test_options.score_thresh)
        if self._compiles:
            seconds = time.perf_counter() - started
            logger.info("Steps are compiled; the first batch took %.1f s.", seconds)
            self._compiles = False
        # masks and scores are post-processed in float32 whatever the precision
        return found.float()

    def _may_replay(self, images: torch.Tensor, run: Callable[..., InstanceSequence]) -> bool:
        return images.is_cuda and run == self.run_sequence and not torch.is_grad_enabled()

    def _run_all(self, images: torch.Tensor) -> InstanceSequence:
        """All steps: nothing that the host has to know decides when they end."""
        return self.run_sequence(images, self.steps)

    def _tensors(self) -> Iterator[torch.Tensor]:
        """The weights and statistics that a run reads."""
        yield from self.parameters()
        yield from self.buffers()

    def _outputs(
        self, batched_inputs: list[dict[str, Any]], sequence: InstanceSequence
    ) -> list[dict[str, Any]]:
        return [
            {"instances": self.instances(sequence, i, dict_)}
            for i, dict_ in enumerate(batched_inputs)
        ]

    def images(self, batched_inputs: list[dict[str, Any]]) -> torch.Tensor:
        """Normalised images at the working resolution, (B, channels, H, W)."""
        images = [self.unit_image(x) for x in batched_inputs]
        return torch.stack([self.normalised(resize_image(i, self.image_size)) for i in images])

    def targets(self, batched_inputs: list[dict[str, Any]]) -> InstanceTargets:
        """Targets at the working resolution, on the model's device."""
        instances = [x["instances"].to(self.device) for x in batched_inputs]
        masks = [mask_tensor(i, self.image_size) for i in instances]
        classes = [i.gt_classes for i in instances]
        targets = build_targets(masks, classes, self.image_size, max_objects=self.max_objects)
        return in_order(targets, self.order)

    def instances(self, sequence: InstanceSequence, image: int, dict_: dict[str, Any]) -> Instances:
        """Predictions for one image of a batch, at the size that its dict asks for.

        Boxes that the model predicts beside its masks are "regressed_boxes", cut to the image, and
        the scores of each class (K, C), of which the best are the "scores", "class_scores".

        Raises:
            UserError: they are asked for, and the model predicts none.
        """
        size, predicted = output_size(dict_), self.test_options.boxes == "predicted"
        found = postprocess(sequence, image, size, self.test_options)
        instances = make_instances(found.masks, found.scores, found.classes, found.step)
        if found.class_scores is not None:
            instances.class_scores = found.class_scores
        if sequence.boxes is not None:
            scale = sequence.boxes.new_tensor([size[1], size[0], size[1], size[0]])
            shares = sequence.boxes[image, found.step].detach().clamp(0, 1)
            instances.regressed_boxes = Boxes(shares * scale)
        elif predicted:
            raise UserError(
                "MODEL.SEQUENTIAL.TEST.BOXES is predicted, but the model predicts masks alone: set "
                "it to mask, or use a model with boxes (MODEL.RSIS.BOX_HEAD, MODEL.RIS.BOX)."
            )
        if predicted:
            instances.pred_boxes = instances.regressed_boxes
        return instances


def freeze_heads_without_loss(network: nn.Module, weights: dict[str, float]) -> None:
    """Freeze heads that no loss trains: distributed training waits for every other gradient.

    Args:
        network: the module whose attributes the heads are; some of them may be missing.
        weights: factor of each head's loss, by the head's name.
    """
    for name, weight in weights.items():
        head = getattr(network, name, None)
        if head is not None and not weight:
            head.requires_grad_(False)
