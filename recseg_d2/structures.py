"""The contracts between the models and everything that comes after them.

Shape letters, used in every module of the package:
    B  images of a batch          T  steps of the sequence (at most one object each)
    N  ground-truth objects, padded to the largest number in the batch
    C  object classes             H W  the model's working resolution in pixels
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import torch

if TYPE_CHECKING:
    from typing_extensions import Self


@dataclass
class InstanceSequence:
    """What a sequential model emits: one object a step, in the order of discovery.

    Attributes:
        mask_logits: (B, T, H, W) float; sigmoid gives the mask's probability.
        score_logits: (B, T) float; sigmoid gives the probability that this step found one more
            object. The stop criterion of every sequential model.
        class_logits: (B, T, C) float, or None where the model is class-agnostic.
        boxes: (B, T, 4) float, x1 y1 x2 y2 as shares of width and height in [0, 1], or None.
        trace: named extras for drawing and analysis; nothing may depend on them.
    """

    mask_logits: torch.Tensor
    score_logits: torch.Tensor
    class_logits: torch.Tensor | None = None
    boxes: torch.Tensor | None = None
    trace: dict[str, torch.Tensor] = field(default_factory=dict)

    def float(self) -> Self:
        """The same in float32, as after a model that ran in a shorter type."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        tensors: dict[str, Any] = {
            k: v.float() for k, v in values.items() if isinstance(v, torch.Tensor)
        }
        return replace(self, **tensors)

    @property
    def steps(self) -> int:
        """T, the number of steps that were run."""
        return self.score_logits.shape[1]


@dataclass
class InstanceTargets:
    """What a criterion compares a sequence with; objects of an image come first, padding after.

    Attributes:
        masks: (B, N, H, W) float, 0 or 1; padding is 0.
        classes: (B, N) int64 in [0, C); padding is 0.
        boxes: (B, N, 4) float, x1 y1 x2 y2 as shares of width and height; padding is 0.
        valid: (B, N) bool; False is padding.
    """

    masks: torch.Tensor
    classes: torch.Tensor
    boxes: torch.Tensor
    valid: torch.Tensor

    def take(self, order: torch.Tensor) -> InstanceTargets:
        """The images in another order, (B,) int64."""
        return InstanceTargets(
            self.masks[order], self.classes[order], self.boxes[order], self.valid[order]
        )

    @property
    def counts(self) -> torch.Tensor:
        """(B,) int64, the number of objects in each image."""
        return self.valid.sum(dim=1)


@dataclass
class MaskProposals:
    """What InstanceFCN emits for an image: P proposals, the best first, none of them pasted yet.

    Attributes:
        mask_logits: (P, s, s) float, s * s values at even distances over each window.
        windows: (P, 4) float, x1 y1 x2 y2 in pixels of the image; they may reach beyond it.
        objectness: (P,) float logits, decreasing.
        boxes: (P, 4) float, tight boxes x1 y1 x2 y2 in pixels, inside of the image.
        size: H and W of the image that windows and boxes are of.
    """

    mask_logits: torch.Tensor
    windows: torch.Tensor
    objectness: torch.Tensor
    boxes: torch.Tensor
    size: tuple[int, int]

    def __len__(self) -> int:
        return len(self.objectness)

    def take(self, index: torch.Tensor) -> MaskProposals:
        """Some of the proposals, by (K,) int64 or (P,) bool."""
        return MaskProposals(
            self.mask_logits[index],
            self.windows[index],
            self.objectness[index],
            self.boxes[index],
            self.size,
        )

    @staticmethod
    def cat(parts: Sequence[MaskProposals]) -> MaskProposals:
        """The proposals of several parts, one or more, of the same image."""
        return MaskProposals(
            torch.cat([part.mask_logits for part in parts]),
            torch.cat([part.windows for part in parts]),
            torch.cat([part.objectness for part in parts]),
            torch.cat([part.boxes for part in parts]),
            parts[0].size,
        )
