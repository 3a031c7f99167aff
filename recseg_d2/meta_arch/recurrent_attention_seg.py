"""RecurrentAttentionSeg: the recurrent attention model as a Detectron2 meta-architecture.

Source: Ren & Zemel 2017.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import Boxes, Instances
from detectron2.utils.events import get_event_storage, has_event_storage

from recseg_d2.config import add_node, naming_keys, read_options
from recseg_d2.data.io.semantic_maps import SemanticFolder
from recseg_d2.errors import UserError, require
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.layers.synced_norm import longest_of_all
from recseg_d2.meta_arch.sequential import SequentialModel, freeze_heads_without_loss
from recseg_d2.models.recurrent_attention.box_iou import BoxIoU
from recseg_d2.models.recurrent_attention.criterion import AttentionCriterion
from recseg_d2.models.recurrent_attention.feeding import Fed, Feeder, feeding_probability
from recseg_d2.models.recurrent_attention.foreground_angle import ForegroundAngle
from recseg_d2.models.recurrent_attention.foreground_angle_losses import (
    background_where,
    foreground_angle_losses,
)
from recseg_d2.models.recurrent_attention.model import RecurrentAttention
from recseg_d2.models.recurrent_attention.options import (
    FeedingOptions,
    RecurrentAttentionOptions,
)
from recseg_d2.models.recurrent_attention.pixel_targets import build_pixel_targets
from recseg_d2.models.recurrent_attention.steps import AttentionSequence
from recseg_d2.postprocess.semantic_classes import vote_classes
from recseg_d2.structures import InstanceSequence, InstanceTargets

add_node("MODEL.RIS", RecurrentAttentionOptions)


@META_ARCH_REGISTRY.register()
class RecurrentAttentionSeg(SequentialModel):
    """Pre-processor, box network, segmentation network, scores; one object a step.

    Inputs and outputs are Detectron2's. Only what the stage trains and uses exists:
    "preprocessor" has the pre-processor alone and finds no objects, "box" adds the box network and
    gives boxes as masks, "full" has everything. Parameters keep their names from stage to stage.

    Args:
        options: MODEL.RIS: the networks, their stage, scheduled sampling and the loss. In the stage
            "box" the canvas always gets the object whose box overlaps most.
        shared: arguments of ``SequentialModel``, passed on.

    Raises:
        UserError: a semantic folder is wanted that is not named, or has not an id for every class.
    """

    @configurable
    def __init__(self, *, options: RecurrentAttentionOptions, **shared: Any) -> None:
        super().__init__(**shared)
        self.options = options
        self.preprocessor = self.network = self.criterion = None
        if options.preprocessor.enabled:
            self.preprocessor = ForegroundAngle(
                options.preprocessor, self.num_classes, self.in_channels
            )
        self.box_iou = BoxIoU(options.box_iou)
        self.feeding = _box_stage_feeding(options) if options.stage == "box" else options.sampling
        if options.stage != "preprocessor":
            self.network = self._build_network()
            segments = options.stage == "full"
            self.criterion = AttentionCriterion(
                options.loss_weights,
                self.box_iou,
                segments,
                in_order=self.order != "any",
                all_steps=not self._packs_training,
            )
        self.semantic_folder = self._semantic_folder() if options.class_source == "folder" else None
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.RIS and MODEL.SEQUENTIAL."""
        options = read_options(cfg, RecurrentAttentionOptions)
        return {**cls.shared_arguments(cfg), "options": options}

    def _build_network(self) -> RecurrentAttention:
        options, weights = self.options, self.options.loss_weights
        network = RecurrentAttention(
            self.image_size,
            self.steps,
            options,
            self.num_classes if options.class_source == "head" else 1,
            self.in_channels,
            map_width=0 if self.preprocessor is None else self.preprocessor.out_width,
        )
        network.recompute_steps = self.recompute_steps
        self.compile_steps(network)
        network.packs_inference = self._compiled is None  # each size of batch is compiled anew
        scores = dict.fromkeys(("score_head", "box_score_head"), weights.score)
        freeze_heads_without_loss(network, {**scores, "class_head": weights.cls})
        return network

    def _semantic_folder(self) -> SemanticFolder:
        given = self.options.semantic_folder
        with naming_keys():
            require(given.path != "", given, "path", "a folder with a segmentation of every image")
            as_many = len(given.label_ids) == self.num_classes
            expected = f"the id of each of the {self.num_classes} classes"
            require(as_many, given, "label_ids", expected)
        return SemanticFolder(Path(given.path), given.label_ids, given.image_suffix, given.suffix)

    def training_lengths(self, targets: InstanceTargets) -> list[int]:
        """All steps, or one more than objects: as many as any image needs, where norms see all.

        A batch norm's statistics are of the whole batch at every step, as the paper's, and few
        images take the last steps.
        """
        if self.options.full_sequences:
            return [self.step_limit] * len(targets.counts)
        lengths = super().training_lengths(targets)
        if self._packs_training:
            return lengths
        return [longest_of_all(self, max(lengths))] * len(lengths)

    @property
    def _packs_training(self) -> bool:
        """Whether an image leaves its batch with its last step in training."""
        return not self.options.full_sequences and self.options.norm == "group"

    def run_sequence(
        self,
        images: torch.Tensor,
        steps: int,
        stop_threshold: float | None = None,
        feeder: Feeder | None = None,
        with_trace: bool = False,
        lengths: list[int] | None = None,
    ) -> AttentionSequence:
        """(B, 3, H, W) normalised images -> a sequence of at most ``steps`` steps.

        Args:
            images: (B, channels, H, W) normalised images at the working resolution.
            steps: T, number of steps to run.
            stop_threshold: each image ends with its first step scored below it.
            feeder: gives ground truth in place of what was predicted, in training; None gives none.
            with_trace: fill the sequence's trace, the pre-processor's maps included.
            lengths: steps that each image needs, the longest first; None is all.
        """
        images = images.contiguous(memory_format=torch.channels_last)
        maps = None if self.preprocessor is None else self.preprocessor(images)
        if self.network is None:
            masks = images.new_zeros(len(images), 0, *images.shape[2:])
            sequence = AttentionSequence(masks, masks[:, :, 0, 0])
        else:
            seen = None if maps is None else maps.channels()
            options = (stop_threshold, feeder, with_trace, lengths)
            sequence = self.network(images, seen, steps, *options)
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
        if self.network is not None and (self.training or self.options.stage == "box"):
            feeder = Feeder(
                self.feeding, self.box_iou, targets, self.iteration, lengths[0], self.order != "any"
            )
            self._log_feeding()
        return self.run_sequence(images, lengths[0], feeder=feeder, lengths=lengths)

    def _log_feeding(self) -> None:
        """The first step's probabilities of ground truth, into metrics.json beside the losses."""
        if not self.training or not has_event_storage():
            return
        storage = get_event_storage()
        for fed in get_args(Fed):
            probability = feeding_probability(self.feeding, fed, self.iteration, 0)
            storage.put_scalar(f"feeding/{fed}", probability, smoothing_hint=False)

    def without_ignored(
        self, sequence: InstanceSequence, ignored: torch.Tensor, targets: InstanceTargets
    ) -> InstanceSequence:
        """The same for the foreground that the pre-processor predicts."""
        found = super().without_ignored(sequence, ignored, targets)
        assert isinstance(found, AttentionSequence)
        if found.maps is not None:
            logits = background_where(ignored, found.maps.foreground_logits)
            found.maps = replace(found.maps, foreground_logits=logits)
        return found

    def sequence_losses(
        self, sequence: InstanceSequence, targets: InstanceTargets
    ) -> dict[str, torch.Tensor]:
        """The terms of eq. 21, and the pre-processor's while that is trained."""
        assert isinstance(sequence, AttentionSequence)
        losses = {} if self.criterion is None else self.criterion(sequence, targets)
        if sequence.maps is not None and self._trains_preprocessor():
            pixels = build_pixel_targets(targets)
            terms = foreground_angle_losses(sequence.maps, pixels, self.options.loss_weights)
            losses.update(terms)
        return losses

    def _trains_preprocessor(self) -> bool:
        assert self.preprocessor is not None
        return any(p.requires_grad for p in self.preprocessor.parameters())

    def traced_sequence(
        self, images: torch.Tensor, steps: int, stop_threshold: float | None = None
    ) -> AttentionSequence:
        """``run_sequence`` with everything that figures show of it in its ``trace``."""
        return self.run_sequence(images, steps, stop_threshold, with_trace=True)

    def instances(self, sequence: InstanceSequence, image: int, dict_: dict[str, Any]) -> Instances:
        """Predictions for one image; classes by a semantic segmentation where that is their source.

        Raises:
            UserError: the folder has no segmentation of the image, or the dict no file name.
        """
        found = super().instances(sequence, image, dict_)
        if self.options.foreground_thresh and self.network is not None:
            found = self._cut_to_foreground(found, sequence, image)
        head = self.options.class_source == "head" or self.num_classes == 1
        if head or self.network is None:
            return found
        semantic = self._semantic(sequence, image, dict_, found.image_size)
        classes, background = vote_classes(found.pred_masks, semantic.to(found.pred_masks.device))
        found.pred_classes = classes
        return found[background <= self.options.background_limit]

    def _cut_to_foreground(
        self, found: Instances, sequence: InstanceSequence, image: int
    ) -> Instances:
        """Masks without the pixels that the pre-processor takes for background."""
        shares = self._preprocessor_shares(sequence, image, found.image_size)
        foreground = shares[0] if len(shares) == 1 else 1 - shares[0]
        masks = found.pred_masks & (foreground > self.options.foreground_thresh)
        left = masks.flatten(1).any(dim=1)
        kept = found[left]
        kept.pred_masks = masks[left]
        if self.test_options.boxes == "mask":
            kept.pred_boxes = Boxes(masks_to_boxes(masks[left]))
        return kept

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
        return self._preprocessor_shares(sequence, image, size)

    def _preprocessor_shares(
        self, sequence: InstanceSequence, image: int, size: tuple[int, int]
    ) -> torch.Tensor:
        """(F, *size) probabilities of the foreground, or of background and classes."""
        assert isinstance(sequence, AttentionSequence)
        assert sequence.maps is not None
        shares = sequence.maps.foreground()[image : image + 1].float()
        return torch.nn.functional.interpolate(shares, size=size, mode="bilinear")[0]


def _box_stage_feeding(options: RecurrentAttentionOptions) -> FeedingOptions:
    """The canvas always gets the disturbed mask of the object whose box overlaps most."""
    return replace(options.sampling, masks="always", boxes="never", overlap="box")
