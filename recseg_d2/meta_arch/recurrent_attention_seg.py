"""RecurrentAttentionSeg: the recurrent attention model as a Detectron2 meta-architecture.

Source: Ren & Zemel 2017.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import Instances
from detectron2.utils.events import get_event_storage, has_event_storage

from recseg_d2.data.semantic_folder import SemanticFolder
from recseg_d2.errors import UserError
from recseg_d2.meta_arch.recurrent_attention_config import arguments_from_config
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.models.recurrent_attention.box_iou import BoxIoU
from recseg_d2.models.recurrent_attention.criterion import AttentionCriterion, AttentionLossWeights
from recseg_d2.models.recurrent_attention.feeding import Feeder, FeedingOptions
from recseg_d2.models.recurrent_attention.foreground_angle import ForegroundAngle
from recseg_d2.models.recurrent_attention.foreground_angle_losses import foreground_angle_losses
from recseg_d2.models.recurrent_attention.model import RecurrentAttention
from recseg_d2.models.recurrent_attention.pixel_targets import build_pixel_targets
from recseg_d2.models.recurrent_attention.steps import AttentionSequence
from recseg_d2.postprocess.semantic_classes import vote_classes
from recseg_d2.structures import InstanceSequence, InstanceTargets


@META_ARCH_REGISTRY.register()
class RecurrentAttentionSeg(SequentialModel):
    """Pre-processor, box network, segmentation network, scores; one object a step.

    Inputs and outputs are Detectron2's. Only what the stage trains and uses exists:
    "preprocessor" has the pre-processor alone and finds no objects, "box" adds the box network and
    gives boxes as masks, "full" has everything. Parameters keep their names from stage to stage.

    Args:
        stage: preprocessor | box | full.
        preprocessor: None where the networks see the image itself.
        network: None in the stage "preprocessor".
        box_iou: how boxes are compared.
        feeding: scheduled sampling of the stage "full"; in "box" the canvas always gets the object
            whose box overlaps most.
        loss_weights: of the terms of eq. 21.
        preprocessor_weights: of the foreground's and the angle's loss, which are computed while the
            pre-processor is trained.
        full_sequences: train all steps, as the paper does.
        class_source: where classes come from: the head, or a semantic segmentation by the
            pre-processor or from a folder.
        background_limit: instances whose mean background in that segmentation is above it are
            dropped.
        semantic_folder: of "folder".
        shared: arguments of ``SequentialModel``.
    """

    @configurable
    def __init__(
        self,
        *,
        stage: str,
        preprocessor: ForegroundAngle | None,
        network: RecurrentAttention | None,
        box_iou: BoxIoU,
        feeding: FeedingOptions,
        loss_weights: AttentionLossWeights = AttentionLossWeights(),  # noqa: B008  (frozen)
        preprocessor_weights: tuple[float, float] = (1.0, 1.0),
        full_sequences: bool = True,
        class_source: str = "head",
        background_limit: float = 1.0,
        semantic_folder: SemanticFolder | None = None,
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.stage = stage
        self.preprocessor = preprocessor
        self.network = network
        self.box_iou = box_iou
        self.feeding = _box_stage_feeding(feeding) if stage == "box" else feeding
        self.preprocessor_weights = preprocessor_weights
        self.full_sequences = full_sequences
        self.class_source = class_source
        self.background_limit = background_limit
        self.semantic_folder = semantic_folder
        self.criterion = None
        if network is not None:
            self.criterion = AttentionCriterion(loss_weights, box_iou, masks=stage == "full")
            _freeze_heads_without_loss(network, loss_weights)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.RIS and MODEL.RECURRENT.

        Raises:
            UserError: a value that is not one of its choices, sizes that do not fit each other, or
                a stage without its network.
        """
        try:
            return {**cls.shared_arguments(cfg), **arguments_from_config(cfg)}
        except ValueError as error:  # the maths' own, which name the key
            raise UserError(str(error)) from error

    def training_lengths(self, targets: InstanceTargets) -> list[int]:
        """All steps, or one more than objects."""
        if self.full_sequences:
            return [self.step_limit] * len(targets.counts)
        return super().training_lengths(targets)

    def run_sequence(
        self,
        images: torch.Tensor,
        steps: int,
        stop_threshold: float | None = None,
        feeder: Feeder | None = None,
        with_trace: bool = False,
    ) -> AttentionSequence:
        """(B, 3, H, W) normalised images -> a sequence of at most ``steps`` steps.

        Args:
            images: see above.
            steps: T.
            stop_threshold: stop once every image has had a step scored below it.
            feeder: of ground truth, in training.
            with_trace: fill the sequence's trace, the pre-processor's maps included.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        maps = None if self.preprocessor is None else self.preprocessor(images)
        if self.network is None:
            masks = images.new_zeros(len(images), 0, *images.shape[2:])
            sequence = AttentionSequence(masks, masks[:, :, 0, 0])
        else:
            seen = None if maps is None else maps.channels()
            sequence = self.network(images, seen, steps, stop_threshold, feeder, with_trace)
        sequence.maps = maps
        if with_trace and maps is not None:
            sequence.trace["foreground"] = maps.foreground()
            angles = maps.angles()
            if angles is not None:
                sequence.trace["angles"] = angles
        return sequence

    def run_with_targets(
        self, images: torch.Tensor, lengths: list[int], targets: InstanceTargets
    ) -> AttentionSequence:
        """Feed ground truth back in training; the box stage has no masks of its own to validate."""
        feeder = None
        if self.network is not None and (self.training or self.stage == "box"):
            feeder = Feeder(self.feeding, self.box_iou, targets, self.iteration, lengths[0])
            self._log_feeding()
        return self.run_sequence(images, lengths[0], feeder=feeder)

    def _log_feeding(self) -> None:
        """The first step's probabilities of ground truth, into metrics.json beside the losses."""
        if not self.training or not has_event_storage():
            return
        storage, options = get_event_storage(), self.feeding
        starts = {
            "masks": (options.masks, options.mask_start),
            "boxes": (options.boxes, options.box_start),
        }
        for name, (on, start) in starts.items():
            probability = options.probability(self.iteration, 0, start) if on else 0.0
            storage.put_scalar(f"feeding/{name}", probability, smoothing_hint=False)

    def sequence_losses(
        self, sequence: InstanceSequence, targets: InstanceTargets
    ) -> dict[str, torch.Tensor]:
        """The terms of eq. 21, and the pre-processor's while that is trained."""
        assert isinstance(sequence, AttentionSequence)
        losses = {} if self.criterion is None else self.criterion(sequence, targets)
        if sequence.maps is not None and self._trains_preprocessor():
            pixels = build_pixel_targets(targets)
            terms = foreground_angle_losses(sequence.maps, pixels, *self.preprocessor_weights)
            losses.update(terms)
        return losses

    def _trains_preprocessor(self) -> bool:
        assert self.preprocessor is not None
        return any(p.requires_grad for p in self.preprocessor.parameters())

    def traced_sequence(self, dict_: dict[str, Any]) -> AttentionSequence:
        """The sequence of one image with everything that figures show of it (``trace``)."""
        threshold = self.options.score_threshold
        return self.run_sequence(self.images([dict_]), self.steps, threshold, with_trace=True)

    def instances(self, sequence: InstanceSequence, image: int, dict_: dict[str, Any]) -> Instances:
        """Predictions for one image; classes by a semantic segmentation where that is their source.

        Raises:
            UserError: the folder has no segmentation of the image, or the dict no file name.
        """
        found = super().instances(sequence, image, dict_)
        if self.class_source == "head" or self.num_classes == 1 or self.network is None:
            return found
        semantic = self._semantic(sequence, image, dict_, found.image_size)
        classes, background = vote_classes(found.pred_masks, semantic.to(found.pred_masks.device))
        found.pred_classes = classes
        return found[background <= self.background_limit]

    def _semantic(
        self,
        sequence: InstanceSequence,
        image: int,
        dict_: dict[str, Any],
        size: tuple[int, int],
    ) -> torch.Tensor:
        """(C + 1, *size) shares of background and classes."""
        if self.semantic_folder is not None:
            if "file_name" not in dict_:
                raise UserError(
                    "MODEL.RIS.CLASS_SOURCE is folder: expected a file_name with each image, found "
                    "none. Predict from files, or take another source."
                )
            return self.semantic_folder.read(dict_["file_name"], size)
        assert isinstance(sequence, AttentionSequence)
        assert sequence.maps is not None
        shares = sequence.maps.foreground()[image : image + 1].float()
        return torch.nn.functional.interpolate(shares, size=size, mode="bilinear")[0]


def _box_stage_feeding(feeding: FeedingOptions) -> FeedingOptions:
    """The canvas always gets the disturbed mask of the object whose box overlaps most."""
    return replace(feeding, mode="always", masks=True, boxes=False, overlap="box")


def _freeze_heads_without_loss(network: RecurrentAttention, weights: AttentionLossWeights) -> None:
    """Distributed training waits for the gradient of every parameter that asks for one."""
    heads = {
        "score_head": weights.score,
        "box_score_head": weights.score,
        "class_head": weights.cls,
    }
    for name, weight in heads.items():
        head = getattr(network, name, None)
        if head is not None and not weight:
            head.requires_grad_(False)
