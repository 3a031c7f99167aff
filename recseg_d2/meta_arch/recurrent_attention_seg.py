"""RecurrentAttentionSeg: the recurrent attention model as a Detectron2 meta-architecture.

May use: detectron2 and the package. Source: Ren & Zemel 2017.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import Instances

from recseg_d2.attention_criterion import AttentionCriterion, AttentionLossWeights
from recseg_d2.data.semantic_folder import SemanticFolder
from recseg_d2.errors import UserError
from recseg_d2.layers.step_norm import NORMS
from recseg_d2.losses.box_iou import BoxIoU
from recseg_d2.losses.foreground_angle import foreground_angle_losses
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.models.foreground_angle import ForegroundAngle
from recseg_d2.models.recurrent_attention.box_network import BoxOptions
from recseg_d2.models.recurrent_attention.feeding import Feeder, FeedingOptions
from recseg_d2.models.recurrent_attention.model import AttentionSequence, RecurrentAttention
from recseg_d2.models.recurrent_attention.segmentation_network import PatchOptions
from recseg_d2.models.recurrent_attention.windows import WindowOptions
from recseg_d2.pixel_targets import build_pixel_targets
from recseg_d2.semantic_classes import vote_classes
from recseg_d2.structures import InstanceSequence, InstanceTargets

STAGES = ("preprocessor", "box", "full")
CLASS_SOURCES = ("head", "preprocessor", "folder")


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

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.RIS and MODEL.RECURRENT.

        Raises:
            UserError: a value that is not one of its choices, or a stage without its network.
        """
        node = cfg.MODEL.RIS
        _check(cfg)
        preprocessor = _build_preprocessor(cfg) if node.PREPROCESSOR.ENABLED else None
        map_width = 0 if preprocessor is None else preprocessor.out_width
        network = None if node.STAGE == "preprocessor" else _build_network(cfg, map_width)
        return {
            **cls.shared_arguments(cfg),
            "stage": node.STAGE,
            "preprocessor": preprocessor,
            "network": network,
            "box_iou": BoxIoU(node.BOX_IOU, node.PADDING_RATIO, node.MIN_PADDING),
            "feeding": _feeding_options(node.SAMPLING),
            "loss_weights": AttentionLossWeights(
                mask=node.MASK_WEIGHT,
                box=node.BOX_WEIGHT,
                score=node.SCORE_WEIGHT,
                cls=node.CLASS_WEIGHT,
            ),
            "preprocessor_weights": (
                node.PREPROCESSOR.FOREGROUND_WEIGHT,
                node.PREPROCESSOR.ANGLE_WEIGHT,
            ),
            "full_sequences": node.FULL_SEQUENCES,
            "class_source": node.CLASS_SOURCE,
            "background_limit": node.BACKGROUND_LIMIT,
            "semantic_folder": _semantic_folder(cfg),
        }

    def training_steps(self, targets: InstanceTargets) -> int:
        """All of them, or one more than objects."""
        return self.step_limit if self.full_sequences else super().training_steps(targets)

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
        self, images: torch.Tensor, steps: int, targets: InstanceTargets
    ) -> AttentionSequence:
        """Feed ground truth back in training; the box stage has no masks of its own to validate."""
        feeder = None
        if self.network is not None and (self.training or self.stage == "box"):
            feeder = Feeder(self.feeding, self.box_iou, targets, self.iteration, steps)
        return self.run_sequence(images, steps, feeder=feeder)

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
    changed = {"mode": "always", "masks": True, "boxes": False, "overlap": "box"}
    return FeedingOptions(**{**vars(feeding), **changed})


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


def _check(cfg: CfgNode) -> None:
    node = cfg.MODEL.RIS
    for key, choices in (("STAGE", STAGES), ("CLASS_SOURCE", CLASS_SOURCES), ("NORM", NORMS)):
        if node[key] not in choices:
            raise UserError(f"MODEL.RIS.{key} is {node[key]!r}: expected one of {choices}.")
    if node.STAGE == "preprocessor" and not node.PREPROCESSOR.ENABLED:
        raise UserError("MODEL.RIS.STAGE is preprocessor, but PREPROCESSOR.ENABLED is False.")
    if node.STAGE == "box" and not node.BOX.ENABLED:
        raise UserError("MODEL.RIS.STAGE is box, but MODEL.RIS.BOX.ENABLED is False.")
    semantic = node.PREPROCESSOR.ENABLED and node.PREPROCESSOR.SEMANTIC
    if node.CLASS_SOURCE == "preprocessor" and not semantic:
        raise UserError(
            "MODEL.RIS.CLASS_SOURCE is preprocessor: expected PREPROCESSOR.ENABLED and "
            "PREPROCESSOR.SEMANTIC to be True, so that it predicts classes."
        )


def _build_preprocessor(cfg: CfgNode) -> ForegroundAngle:
    node = cfg.MODEL.RIS.PREPROCESSOR
    return ForegroundAngle(
        widths=node.WIDTHS,
        skips=node.SKIPS,
        num_classes=cfg.MODEL.RECURRENT.NUM_CLASSES if node.SEMANTIC else 0,
        angle=node.ANGLE,
    )


def _build_network(cfg: CfgNode, map_width: int) -> RecurrentAttention:
    node, recurrent = cfg.MODEL.RIS, cfg.MODEL.RECURRENT
    box = BoxOptions(
        sees_image=node.BOX.SEES_IMAGE,
        widths=tuple(node.BOX.WIDTHS),
        pools=tuple(node.BOX.POOLS),
        hidden_width=node.BOX.HIDDEN_WIDTH,
        glimpses=node.BOX.GLIMPSES,
        carry_state=node.BOX.CARRY_STATE,
        coordinates=node.BOX.COORDINATES,
    )
    return RecurrentAttention(
        image_size=tuple(recurrent.IMAGE_SIZE),
        steps=recurrent.STEPS,
        map_width=map_width,
        num_classes=recurrent.NUM_CLASSES if node.CLASS_SOURCE == "head" else 1,
        box=box if node.BOX.ENABLED else None,
        patch=_patch_options(node.PATCH),
        window=WindowOptions(
            node.VARIANCE, node.MIN_VARIANCE, node.GAMMA, node.LOG_GAMMA, node.BETA
        ),
        segment=node.STAGE == "full",
        canvas=node.CANVAS,
        canvas_gradient=node.CANVAS_GRADIENT,
        norm=node.NORM,
        init_std=node.INIT_STD,
    )


def _patch_options(node: CfgNode) -> PatchOptions:
    return PatchOptions(
        size=tuple(node.SIZE),
        widths=tuple(node.WIDTHS),
        pools=tuple(node.POOLS),
        decoder_widths=tuple(node.DECODER_WIDTHS),
        skips=tuple(node.SKIPS),
        positive=node.POSITIVE,
    )


def _feeding_options(node: CfgNode) -> FeedingOptions:
    return FeedingOptions(
        mode=node.MODE,
        base=node.BASE,
        decay=node.DECAY,
        step_gain=node.STEP_GAIN,
        masks=node.MASKS,
        mask_start=node.MASK_START,
        boxes=node.BOXES,
        box_start=node.BOX_START,
        overlap=node.OVERLAP,
        reuse=node.REUSE,
        box_padding=tuple(node.BOX_PADDING),
        box_shift=node.BOX_SHIFT,
        mask_noise=node.MASK_NOISE,
    )


def _semantic_folder(cfg: CfgNode) -> SemanticFolder | None:
    node = cfg.MODEL.RIS.SEMANTIC_FOLDER
    if cfg.MODEL.RIS.CLASS_SOURCE != "folder":
        return None
    wanted = cfg.MODEL.RECURRENT.NUM_CLASSES
    if not node.PATH or len(node.LABEL_IDS) != wanted:
        raise UserError(
            f"MODEL.RIS.SEMANTIC_FOLDER: found PATH {node.PATH!r} and {len(node.LABEL_IDS)} "
            f"LABEL_IDS; expected a folder and the id of each of the {wanted} classes."
        )
    return SemanticFolder(Path(node.PATH), tuple(node.LABEL_IDS), node.IMAGE_SUFFIX, node.SUFFIX)
