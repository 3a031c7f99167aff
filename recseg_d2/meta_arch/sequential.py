"""What every model that finds objects one at a time shares: tensors in, ``Instances`` out.

Shape letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances
from torch import nn

from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.losses.targets import build_targets
from recseg_d2.postprocess import PostprocessOptions, postprocess
from recseg_d2.structures import InstanceSequence, InstanceTargets

PRECISIONS = ("float32", "bfloat16")


class SequentialModel(nn.Module):
    """Skeleton of a sequential model; a subclass gives ``run_sequence`` and ``sequence_losses``.

    Images of any size come in: the model works at one resolution, resizes to it itself, and
    returns masks at the size that each dict asks for.

    Args:
        image_size: H and W of the working resolution.
        num_classes: C.
        steps: most objects that can be emitted for an image.
        pixel_mean: subtracted from each channel.
        pixel_std: each channel is divided by.
        options: how a sequence becomes masks.
        precision: float32 or bfloat16, what convolutions and matrix products run in; losses and
            masks are float32 in any case.
    """

    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    def __init__(
        self,
        *,
        image_size: tuple[int, int],
        num_classes: int,
        steps: int,
        pixel_mean: list[float],
        pixel_std: list[float],
        options: PostprocessOptions = PostprocessOptions(),  # noqa: B008  (frozen)
        precision: str = "float32",
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise UserError(f"MODEL.RECURRENT.PRECISION is {precision!r}: one of {PRECISIONS}.")
        self.precision = precision
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.num_classes = num_classes
        self.steps = steps
        self.step_limit = steps  # objects to predict in training; a curriculum may lower it
        self.iteration = 0  # of training; the trainer keeps it up to date
        self.options = options
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), False)

    @staticmethod
    def shared_arguments(cfg: CfgNode) -> dict[str, Any]:
        """The constructor's arguments from MODEL.RECURRENT and MODEL.PIXEL_*."""
        node = cfg.MODEL.RECURRENT
        return {
            "image_size": tuple(node.IMAGE_SIZE),
            "num_classes": node.NUM_CLASSES,
            "steps": node.STEPS,
            "pixel_mean": list(cfg.MODEL.PIXEL_MEAN),
            "pixel_std": list(cfg.MODEL.PIXEL_STD),
            "precision": node.PRECISION,
            "options": PostprocessOptions(
                score_threshold=node.SCORE_THRESH_TEST,
                mask_threshold=node.MASK_THRESH_TEST,
                exclusive=node.EXCLUSIVE_TEST,
                weighted=node.WEIGHTED_TEST,
                min_area=node.MIN_AREA_TEST,
            ),
        }

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pixel_mean.device

    def run_sequence(
        self, images: torch.Tensor, steps: int, stop_threshold: float | None = None
    ) -> InstanceSequence:
        """Normalised images to a sequence.

        Args:
            images: (B, 3, H, W).
            steps: to run.
            stop_threshold: where given, steps may end once each image had one scored below it.
        """
        raise TypeError(f"{type(self).__name__} has to define run_sequence.")

    def run_with_targets(
        self, images: torch.Tensor, lengths: list[int], targets: InstanceTargets
    ) -> InstanceSequence:
        """The sequence that losses are computed of.

        Args:
            images: (B, 3, H, W).
            lengths: steps that each image needs, the longest first; what an image's later steps
                hold is not looked at.
            targets: of the same images, for models that are fed back what they should have found.
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

    def forward(self, batched_inputs: list[dict[str, Any]]) -> Any:
        """Losses in training; ``[{"instances": Instances}]`` otherwise.

        Args:
            batched_inputs: Detectron2's dicts: ``image`` (3, h, w); in training ``instances`` with
                ``gt_masks`` and ``gt_classes``; ``height`` and ``width`` ask for a size of masks.
        """
        if self.training:
            return self.losses(batched_inputs)
        return self.inference(batched_inputs)

    def losses(self, batched_inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Loss terms of a batch with ground truth, in training mode or not."""
        targets = self.targets(batched_inputs)
        order = torch.argsort(targets.counts, descending=True, stable=True)
        targets = targets.take(order)
        images = self.images(batched_inputs)[order]
        sequence = self._in_precision(
            self.run_with_targets, images, self.training_lengths(targets), targets
        )
        return self.sequence_losses(sequence, targets)

    def inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Predictions for a batch, each at the size its dict asks for."""
        images = self.images(batched_inputs)
        threshold = self.options.score_threshold
        sequence = self._in_precision(self.run_sequence, images, self.steps, threshold)
        return [
            {"instances": self.instances(sequence, i, dict_)}
            for i, dict_ in enumerate(batched_inputs)
        ]

    def traced_sequence(self, dict_: dict[str, Any]) -> InstanceSequence:
        """The sequence of one image, a batch of one, with the trace that the model leaves.

        Args:
            dict_: as for ``forward``; only ``image`` is needed.
        """
        return self.run_sequence(self.images([dict_]), self.steps, self.options.score_threshold)

    def _in_precision(
        self, run: Callable[..., InstanceSequence], *arguments: Any
    ) -> InstanceSequence:
        """``run(*arguments)`` in the chosen precision, its result in float32."""
        shorter = self.precision == "bfloat16"
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=shorter):
            return run(*arguments).float()

    def images(self, batched_inputs: list[dict[str, Any]]) -> torch.Tensor:
        """Normalised images at the working resolution, (B, 3, H, W)."""
        images = [self._resize(x["image"].to(self.device)) for x in batched_inputs]
        return (torch.stack(images) - self.pixel_mean) / self.pixel_std

    def targets(self, batched_inputs: list[dict[str, Any]]) -> InstanceTargets:
        """Targets at the working resolution, on the model's device."""
        instances = [x["instances"].to(self.device) for x in batched_inputs]
        masks = [mask_tensor(i, self.image_size) for i in instances]
        classes = [i.gt_classes for i in instances]
        return build_targets(masks, classes, self.image_size, max_objects=self.steps)

    def _resize(self, image: torch.Tensor) -> torch.Tensor:
        image = image.float()
        if tuple(image.shape[1:]) == self.image_size:
            return image
        return F.interpolate(
            image[None], size=self.image_size, mode="bilinear", align_corners=False, antialias=True
        )[0]

    def instances(self, sequence: InstanceSequence, image: int, dict_: dict[str, Any]) -> Instances:
        """Predictions for one image of a batch, at the size that its dict asks for."""
        size = output_size(dict_)
        found = postprocess(sequence, image, size, self.options)
        return Instances(
            size,
            pred_masks=found.masks,
            pred_boxes=Boxes(masks_to_boxes(found.masks)),
            scores=found.scores,
            pred_classes=found.classes,
            step=found.step,
        )


def output_size(dict_: dict[str, Any]) -> tuple[int, int]:
    """Height and width that an input dict asks for; its image's own where it names none."""
    height, width = dict_["image"].shape[1:]
    return int(dict_.get("height", height)), int(dict_.get("width", width))


def mask_tensor(instances: Instances, empty_size: tuple[int, int]) -> torch.Tensor:
    """``gt_masks`` (BitMasks) as a bool tensor (N, h, w); an image without objects may lack it."""
    if len(instances) == 0:
        return instances.gt_classes.new_zeros(0, *empty_size, dtype=torch.bool)
    return instances.gt_masks.tensor.bool()
