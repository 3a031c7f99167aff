"""ConvLSTMSemInstSeg: RSIS as a Detectron2 meta-architecture.

Source: Salvador et al. 2017.
"""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone

from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.models.convlstm.criterion import LossWeights, SequenceCriterion
from recseg_d2.models.convlstm.decoder import ConvLSTMDecoder
from recseg_d2.structures import InstanceSequence, InstanceTargets


@META_ARCH_REGISTRY.register()
class ConvLSTMSemInstSeg(SequentialModel):
    """Encoder with skips, hierarchical ConvLSTM decoder, one object a step.

    Inputs and outputs are Detectron2's: a list of dicts in, a dict of losses out in training and a
    list of ``{"instances": Instances}`` otherwise.

    Args:
        backbone: gives a feature map for each octave, the finest at stride 2.
        hidden_widths: of the ConvLSTMs, deepest first; fewer than the backbone has levels leave
            out its finest ones.
        skip_mode: concat | sum | mul | none.
        box_head: whether boxes are predicted and trained.
        coordinates: y, x and radius channels in each skip (beyond the paper).
        forget_bias: added to the forget gates' initial bias.
        loss_weights: of the four terms.
        shared: arguments of ``SequentialModel``.
    """

    @configurable
    def __init__(
        self,
        *,
        backbone: Backbone,
        hidden_widths: tuple[int, ...],
        skip_mode: str = "concat",
        box_head: bool = True,
        coordinates: bool = False,
        forget_bias: float = 0.0,
        loss_weights: LossWeights = LossWeights(),  # noqa: B008  (frozen)
        **shared: Any,
    ) -> None:
        super().__init__(**shared)
        self.backbone = backbone
        by_depth = sorted(backbone.output_shape().items(), key=lambda kv: -(kv[1].stride or 1))
        used = by_depth[: len(hidden_widths)]
        self.levels = [name for name, _ in used]
        self.decoder = ConvLSTMDecoder(
            feature_widths=[shape.channels or 0 for _, shape in used],
            hidden_widths=hidden_widths,
            skip_mode=skip_mode,
            num_classes=self.num_classes,
            box_head=box_head,
            coordinates=coordinates,
            forget_bias=forget_bias,
        )
        self.criterion = SequenceCriterion(loss_weights)
        self._freeze_heads_without_loss(loss_weights)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def _freeze_heads_without_loss(self, weights: LossWeights) -> None:
        """Distributed training waits for the gradient of every parameter that asks for one."""
        heads = {"box_head": weights.box, "class_head": weights.cls, "stop_head": weights.stop}
        for name, weight in heads.items():
            head = getattr(self.decoder, name)
            if head is not None and not weight:
                head.requires_grad_(False)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.RSIS, MODEL.RECURRENT and MODEL.BACKBONE."""
        node = cfg.MODEL.RSIS
        return {
            **cls.shared_arguments(cfg),
            "backbone": build_backbone(cfg),
            "hidden_widths": tuple(node.HIDDEN_WIDTHS),
            "skip_mode": node.SKIP_MODE,
            "box_head": node.BOX_HEAD,
            "coordinates": node.COORDINATES,
            "forget_bias": node.FORGET_BIAS,
            "loss_weights": LossWeights(
                mask=node.MASK_WEIGHT,
                box=node.BOX_WEIGHT,
                cls=node.CLASS_WEIGHT,
                stop=node.STOP_WEIGHT,
                stop_slot=node.STOP_SLOT_WEIGHT,
            ),
        }

    def run_sequence(
        self, images: torch.Tensor, steps: int, stop_threshold: float | None = None
    ) -> InstanceSequence:
        """(B, 3, H, W) normalised images -> a sequence of at most ``steps`` steps."""
        return self._decode(images, steps, stop_threshold=stop_threshold)

    def run_with_targets(
        self, images: torch.Tensor, lengths: list[int], targets: InstanceTargets
    ) -> InstanceSequence:
        """Each step is run for those images only that still need it."""
        return self._decode(images, lengths[0], lengths=lengths)

    def _decode(self, images: torch.Tensor, steps: int, **options: Any) -> InstanceSequence:
        features = self.backbone(images.contiguous(memory_format=torch.channels_last))
        levels = [features[name] for name in self.levels]
        return self.decoder(levels, self.image_size, steps, **options)

    def sequence_losses(
        self, sequence: InstanceSequence, targets: InstanceTargets
    ) -> dict[str, torch.Tensor]:
        """The paper's four terms, weighted."""
        return self.criterion(sequence, targets)
