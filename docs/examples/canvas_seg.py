"""CanvasSeg, a sequential model in one file, as an example of extending recseg_d2.

One look at the image; then each step sees the features and a canvas of what was found before, and
answers with the next object's mask and the probability that there is one. Everything else (data,
training, evaluation, pictures) is the package's: the file is the command ``recseg`` with one model
more.

    python canvas_seg.py train --config-file rsis_small.yaml --train-data leaves/train \
        --val-data leaves/val MODEL.META_ARCHITECTURE CanvasSeg OUTPUT_DIR output/canvas
    python canvas_seg.py predict --weights output/canvas --input leaves/val/images --output found
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import Any

import recseg_d2  # noqa: F401  (comes before any detectron2 import)

# isort: split
import torch
import torch.nn.functional as F
from detectron2.config import CfgNode, configurable
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone
from torch import nn

from recseg_d2.config import add_node, read_options
from recseg_d2.layers.matching import assign, soft_iou_matrix
from recseg_d2.losses.terms import masked_mean
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.structures import InstanceSequence, InstanceTargets


@dataclass(frozen=True)
class CanvasSegOptions:
    """MODEL.CANVAS_SEG, the keys of a config that are this model's own."""

    width: int = 32  # channels of all maps of a step
    stop_weight: float = 0.5  # factor of the loss of the scores


add_node("MODEL.CANVAS_SEG", CanvasSegOptions)


class StepNetwork(nn.Module):
    """One step: the image's features and the canvas to a mask and a score.

    Args:
        width: channels of the features, a multiple of 8.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, dilation in enumerate((1, 2, 4)):
            entering = width if i else width + 1  # and the canvas
            conv = nn.Conv2d(entering, width, 3, padding=dilation, dilation=dilation)
            layers += [conv, nn.GroupNorm(8, width), nn.ReLU(inplace=True)]
        self.body = nn.Sequential(*layers)
        self.mask, self.score = nn.Conv2d(width, 1, 1), nn.Linear(width, 1)

    def forward(
        self, features: torch.Tensor, canvas: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, width, h, w), (B, 1, h, w) -> logits of the mask (B, 1, h, w), of the score (B,)."""
        hidden = self.body(torch.cat([features, canvas], dim=1))
        return self.mask(hidden), self.score(hidden.amax(dim=(2, 3)))[:, 0]


@META_ARCH_REGISTRY.register()
class CanvasSeg(SequentialModel):
    """A canvas in place of a recurrent state.

    Args:
        backbone: gives maps of several strides, which are added up at the finest of them.
        options: MODEL.CANVAS_SEG.
        shared: arguments of ``SequentialModel``, passed on.
    """

    @configurable
    def __init__(self, *, backbone: Backbone, options: CanvasSegOptions, **shared: Any) -> None:
        super().__init__(**shared)
        self.backbone, self.stop_weight = backbone, options.stop_weight
        shapes = backbone.output_shape()
        self.finest = min(shapes, key=lambda name: shapes[name].stride or 1)
        self.lateral = nn.ModuleDict(
            {name: nn.Conv2d(of.channels or 0, options.width, 1) for name, of in shapes.items()}
        )
        self.step = StepNetwork(options.width)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """The constructor's arguments."""
        options = read_options(cfg, CanvasSegOptions)
        return {**cls.shared_arguments(cfg), "backbone": build_backbone(cfg), "options": options}

    def run_sequence(
        self, images: torch.Tensor, steps: int, stop_threshold: float | None = None
    ) -> InstanceSequence:
        """(B, channels, H, W) normalised images -> a sequence of at most ``steps`` steps."""
        maps = self.backbone(images)
        size = maps[self.finest].shape[-2:]
        lateral = (self.lateral[name](x) for name, x in maps.items())
        features = torch.stack([F.interpolate(x, size, mode="bilinear") for x in lateral]).sum(0)
        canvas = features.new_zeros(len(images), 1, *size)
        masks, scores = [], []
        for _ in range(steps):
            mask, score = self.step(features, canvas)
            # the canvas is memory, not a way for gradients to go back in time
            canvas = torch.maximum(canvas, mask.detach().sigmoid())
            masks.append(F.interpolate(mask, images.shape[-2:], mode="bilinear")[:, 0])
            scores.append(score)
            if stop_threshold is not None and (score.sigmoid() < stop_threshold).all():
                break
        return InstanceSequence(torch.stack(masks, dim=1), torch.stack(scores, dim=1))

    def sequence_losses(
        self, sequence: InstanceSequence, targets: InstanceTargets
    ) -> dict[str, torch.Tensor]:
        """1 - soft IoU of matched pairs, and the cross entropy of "there is one more"."""
        iou = soft_iou_matrix(sequence.mask_logits.sigmoid(), targets.masks)
        assignment = assign(iou, targets.counts)
        matched_iou = iou.gather(2, assignment.clamp(min=0)[:, :, None])[:, :, 0]
        step = torch.arange(sequence.steps, device=iou.device)
        more, asked = step < targets.counts[:, None], step <= targets.counts[:, None]
        entropy = F.binary_cross_entropy_with_logits(
            sequence.score_logits, more.float(), reduction="none"
        )
        return {
            "loss_mask": masked_mean(1 - matched_iou, assignment >= 0),
            "loss_stop": self.stop_weight * masked_mean(entropy, asked),
        }


if __name__ == "__main__":
    from recseg_d2.cli.__main__ import main

    sys.exit(main())
