"""MODEL.RIS as the parts of a RecurrentAttentionSeg."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from recseg_d2.data.semantic_folder import SemanticFolder
from recseg_d2.errors import UserError
from recseg_d2.layers.step_norm import NORMS
from recseg_d2.models.recurrent_attention.box_iou import BoxIoU
from recseg_d2.models.recurrent_attention.box_network import BoxOptions
from recseg_d2.models.recurrent_attention.criterion import AttentionLossWeights
from recseg_d2.models.recurrent_attention.feeding import FeedingOptions
from recseg_d2.models.recurrent_attention.foreground_angle import ForegroundAngle
from recseg_d2.models.recurrent_attention.model import RecurrentAttention
from recseg_d2.models.recurrent_attention.segmentation_network import PatchOptions
from recseg_d2.models.recurrent_attention.windows import WindowOptions

STAGES = ("preprocessor", "box", "full")
CLASS_SOURCES = ("head", "preprocessor", "folder")


def arguments_from_config(cfg: CfgNode) -> dict[str, Any]:
    """Arguments of ``RecurrentAttentionSeg`` that are its own.

    Raises:
        UserError: a value that is not one of its choices, or a stage without its network.
    """
    node = cfg.MODEL.RIS
    _check(cfg)
    preprocessor = _build_preprocessor(cfg) if node.PREPROCESSOR.ENABLED else None
    map_width = 0 if preprocessor is None else preprocessor.out_width
    network = None if node.STAGE == "preprocessor" else _build_network(cfg, map_width)
    return {
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
        content=node.BOX.CONTENT,
    )
    return RecurrentAttention(
        image_size=tuple(recurrent.IMAGE_SIZE),
        steps=recurrent.STEPS,
        map_width=map_width,
        num_classes=recurrent.NUM_CLASSES if node.CLASS_SOURCE == "head" else 1,
        box=box if node.BOX.ENABLED else None,
        patch=_patch_options(node.PATCH),
        window=WindowOptions(
            node.VARIANCE, node.MIN_VARIANCE, node.GAMMA, node.LOG_GAMMA, node.BETA, node.UNIT_SIZE
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
