"""ConvLSTMSemInstSeg: RSIS as a Detectron2 meta-architecture.

Source: Salvador et al. 2017.
"""

from __future__ import annotations

from typing import Any

import torch
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone

from recseg_d2.config import add_node, naming_keys, read_options
from recseg_d2.meta_arch.sequential import SequentialModel, freeze_heads_without_loss
from recseg_d2.models.convlstm.criterion import SequenceCriterion
from recseg_d2.models.convlstm.decoder import ConvLSTMDecoder
from recseg_d2.models.convlstm.options import ConvLSTMOptions
from recseg_d2.structures import InstanceSequence, InstanceTargets

add_node("MODEL.RSIS", ConvLSTMOptions)


@META_ARCH_REGISTRY.register()
class ConvLSTMSemInstSeg(SequentialModel):
    """Encoder with skips, hierarchical ConvLSTM decoder, one object a step.

    Inputs and outputs are Detectron2's: a list of dicts in, a dict of losses out in training and a
    list of ``{"instances": Instances}`` otherwise.

    Args:
        backbone: gives a feature map for each octave, the finest at stride 2; those of its finest
            levels that the decoder has no ConvLSTM for are left out.
        options: MODEL.RSIS: the decoder, and the weights of the loss terms.
        shared: arguments of ``SequentialModel``, passed on.
    """

    @configurable
    def __init__(self, *, backbone: Backbone, options: ConvLSTMOptions, **shared: Any) -> None:
        super().__init__(**shared)
        self.backbone = backbone
        by_depth = sorted(backbone.output_shape().items(), key=lambda kv: -(kv[1].stride or 1))
        used = by_depth[: len(options.hidden_widths)]
        self.levels = [name for name, _ in used]
        widths = [shape.channels or 0 for _, shape in used]
        with naming_keys():
            self.decoder = ConvLSTMDecoder(widths, options, self.num_classes)
        self.decoder.recompute_steps = self.recompute_steps
        self.compile_steps(self.decoder)
        self.criterion = SequenceCriterion(options.loss_weights, self.order != "any")
        weights = options.loss_weights
        heads = {"box_head": weights.box, "class_head": weights.cls, "stop_head": weights.stop}
        freeze_heads_without_loss(self.decoder, heads)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.RSIS, MODEL.SEQUENTIAL and MODEL.BACKBONE."""
        return {
            **cls.shared_arguments(cfg),
            "backbone": build_backbone(cfg),
            "options": read_options(cfg, ConvLSTMOptions),
        }

    def run_sequence(
        self, images: torch.Tensor, steps: int, stop_threshold: float | None = None
    ) -> InstanceSequence:
        """(B, channels, H, W) normalised images -> a sequence of at most ``steps`` steps."""
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
