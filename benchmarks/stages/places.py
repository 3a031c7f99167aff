"""Where the stages of each model are: names of functions, see ``StageClock.at``.

A stage has the functions of the package, and those of the literal references that do the same.
"""

from __future__ import annotations

from benchmarks.stages.clock import Places
from recseg_d2.errors import UserError

DATA, REST = "data", "rest"  # what a loader does; what no other stage covers
_PACKAGE = "recseg_d2."
_DENSE = "recseg_d2.models.dense_attention."
_FCN = "recseg_d2.models.instance_fcn."
_RIS = "recseg_d2.models.recurrent_attention."
_LITERAL = "reference."

_SEQUENTIAL = {
    "inputs": ("model.images", "model.targets"),
    "losses": ("model.sequence_losses",),
    "post-processing": ("model._outputs",),
}
_TRAINING = {
    "backward": ("torch.Tensor.backward",),
    "optimiser": ("step.optimizer.step", "step.optimizer.zero_grad"),
}
_PLACES: dict[str, Places] = {
    "ConvLSTMSemInstSeg": {
        **_SEQUENTIAL,
        "encoder": ("model.backbone.forward",),
        "steps": ("model.decoder.forward",),
        "matching": (
            _PACKAGE + "models.convlstm.criterion.soft_iou_matrix",
            _PACKAGE + "models.convlstm.criterion.assign",
        ),
    },
    "RecurrentAttentionSeg": {
        **_SEQUENTIAL,
        "pre-processor": ("model.preprocessor.forward",),
        "box network": (
            "model.network.box_network.prepare",
            "model.network.box_network.forward",
            _LITERAL + "ris_literal.glimpses",
        ),
        "windows": (
            "model.network.windows.forward",
            "model.network.windows.filters",
            "model.network.windows.box_logits",
            _RIS + "model.read_patch",
            _RIS + "model.write_patch",
            _LITERAL + "ris_literal.decode",
            _LITERAL + "ris_literal.filter_table",
            _LITERAL + "ris_literal.read",
            _LITERAL + "ris_literal.write",
        ),
        "segmentation": ("model.network.segmentation.forward", _LITERAL + "ris_literal.segment"),
        "canvas, scores": ("model.network.forward",),
        "matching": (
            _RIS + "criterion.soft_iou_matrix",
            _RIS + "criterion.assign",
            "model.criterion._box_iou",
        ),
    },
    "InstanceFCNProposal": {
        "inputs": (
            "model.unit_image",
            "model.normalised",
            "model.true_masks",
            _PACKAGE + "meta_arch.instance_fcn_proposal.pad_to_cells",
            _FCN + "proposals.build_pyramid",
            _LITERAL + "instance_fcn_whole.build_pyramid",
        ),
        "encoder": ("model.network.backbone.forward",),
        "heads": ("model.network.branches",),
        "matching": (_FCN + "training._sample", _FCN + "training.mask_targets"),
        "assembling": (
            "model.network.mask_logits",
            _FCN + "proposals.assemble_windows",
            _LITERAL + "instance_fcn_whole.window_mask",
            _LITERAL + "instance_fcn_whole.window_place",
        ),
        "boxes": (_FCN + "proposals.tight_boxes", _LITERAL + "proposals_literal.tight_box"),
        "suppression": (
            _FCN + "proposals.rank_windows",
            _LITERAL + "instance_fcn_whole.rank_windows",
            _FCN + "proposals.GreedySuppression.keep",
            _PACKAGE + "meta_arch.instance_fcn_proposal.greedy_nms",
            _LITERAL + "proposals_literal.greedy_nms",
        ),
        "pasting": (
            _PACKAGE + "meta_arch.instance_fcn_proposal.paste_masks",
            _LITERAL + "proposals_literal.paste_mask",
        ),
        "losses": (_FCN + "training.objectness_loss", _FCN + "training.proposal_mask_loss"),
        "post-processing": (
            _PACKAGE + "meta_arch.instance_fcn_proposal.to_proposals",
            _PACKAGE + "meta_arch.instance_fcn_proposal.to_instances",
            _LITERAL + "instance_fcn_whole.to_instances",
        ),
    },
    "DenseAttentionSeg": {
        "inputs": (
            "model.model_image",
            "model._stack",
            "model._targets",
            _PACKAGE + "meta_arch.dense_attention_seg.target_batch",
        ),
        "encoder": ("model.network.encode", "model.network.auxiliary.forward"),
        "canvases": (
            _DENSE + "training.random_canvas",
            _DENSE + "training._with_own_masks",
            _DENSE + "training._channels",
            _DENSE + "search.canvas_channels",
            _DENSE + "search.Search._settle",
        ),
        "heat": (
            _DENSE + "training._heat",
            _DENSE + "search.Search._state",
            _DENSE + "search.Search._look",
        ),
        "windows": (
            "model.network.windows_at",
            "model.network.look",
            *(
                f"{_DENSE}training.{name}"
                for name in ("true_windows", "own_windows", "join", "_true_masks", "_unknown_cells")
            ),
            _DENSE + "search.Search._segment",
        ),
        "window network": ("model.network.segment",),
        "losses": (
            *(
                f"{_DENSE}losses.{term}_loss"
                for term in ("foreground", "direction", "box", "heat", "mask")
            ),
            _DENSE + "training._window_terms",
        ),
        "post-processing": ("model._instances", _DENSE + "drawing.Drawing.found"),
    },
}
# In the order of the tables.
STAGES = (
    *(DATA, "inputs", "encoder", "pre-processor"),
    *("steps", "canvases", "heat", "box network"),
    *("windows", "window network", "segmentation", "canvas, scores"),
    *("heads", "assembling", "boxes", "suppression", "pasting"),
    *("matching", "losses", "backward", "optimiser", "post-processing", REST),
)


def places(architecture: str, mode: str) -> Places:
    """The functions of each stage of a model, in training or inference.

    Raises:
        UserError: no stages are known of the architecture.
    """
    if architecture not in _PLACES:
        raise UserError(
            f"--stages: MODEL.META_ARCHITECTURE is {architecture}; expected one of "
            f"{', '.join(_PLACES)}. Name those of another model in benchmarks/stages/places.py."
        )
    return {**_PLACES[architecture], **(_TRAINING if mode == "training" else {})}
