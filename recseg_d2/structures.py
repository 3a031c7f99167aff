"""The contracts between the models and everything that comes after them.

Shape letters, used in every module of the package:
    B  images of a batch          T  steps of the sequence (at most one object each)
    N  ground-truth objects, padded to the largest number in the batch
    C  object classes             H W  the model's working resolution in pixels
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
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
        parts: dict[str, Any] = {k: v.float() for k, v in values.items() if hasattr(v, "float")}
        return replace(self, **parts)

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

    def take(self, order: torch.Tensor | slice) -> InstanceTargets:
        """Some of the images, or all in another order, (B,) int64."""
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


class LabelMapMasks:
    """N masks that hold memory for one: what ``Instances.pred_masks`` may be instead of a tensor.

    An image of 2048 x 2048 pixels with 500 instances takes 2 GiB as N masks and 16 MiB as a label
    map. Indexing with a number gives one mask as a tensor, anything else some of the masks; numpy
    gets all of them as one array where it asks for it.

    Args:
        labels: (H, W) integer tensor, a label map; 0 is background.
        numbers: (N,) int64, the label of each mask; a label that is not among them is background.
    """

    def __init__(self, labels: torch.Tensor, numbers: torch.Tensor) -> None:
        self.labels, self.numbers = labels, numbers

    def __len__(self) -> int:
        return len(self.numbers)

    @property
    def shape(self) -> torch.Size:
        """(N, H, W), as that of the tensor it stands for."""
        return torch.Size([len(self), *self.labels.shape])

    @property
    def device(self) -> torch.device:
        """Where the label map is."""
        return self.labels.device

    def __getitem__(self, index: Any) -> Any:
        """One mask, (H, W) bool, for a number; ``LabelMapMasks`` for a slice, list or tensor."""
        if isinstance(index, (int, np.integer)):
            return self.labels == self.numbers[index]
        return LabelMapMasks(self.labels, self.numbers[index])

    def __iter__(self) -> Iterator[torch.Tensor]:
        for number in self.numbers:
            yield self.labels == number

    def to(self, *args: Any, **kwargs: Any) -> LabelMapMasks:
        """The same on another device."""
        device = torch.empty(0, device=self.device).to(*args, **kwargs).device
        return LabelMapMasks(self.labels.to(device), self.numbers.to(device))

    def cpu(self) -> LabelMapMasks:
        """The same on the CPU."""
        return self.to("cpu")

    @property
    def tensor(self) -> torch.Tensor:
        """All masks, (N, H, W) bool."""
        return self.labels[None] == self.numbers[:, None, None]

    def numpy(self) -> np.ndarray:
        """All masks, (N, H, W) bool."""
        return self.tensor.cpu().numpy()

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """All masks as numpy sees them, (N, H, W) bool."""
        masks = self.numpy()
        return masks if dtype is None else masks.astype(dtype)

    def areas(self) -> torch.Tensor:
        """(N,) int64 pixels of each mask."""
        top = int(max(self.labels.max(), self.numbers.max())) if len(self) else 0
        return torch.bincount(self.labels.flatten().long(), minlength=top + 1)[self.numbers]

    def boxes(self) -> torch.Tensor:
        """(N, 4) float tight boxes x1 y1 x2 y2; zeros for a mask without a pixel."""
        boxes = torch.zeros(len(self), 4, device=self.device)
        rows, columns = torch.nonzero(self.labels, as_tuple=True)
        if not len(self) or not len(rows):
            return boxes
        found = self.labels[rows, columns].long()
        top = int(max(found.max(), self.numbers.max())) + 1
        far = max(self.labels.shape)
        for edge, place in ((0, columns), (1, rows)):
            low = torch.full((top,), far, device=self.device)
            high = torch.full((top,), -1, device=self.device)
            low.scatter_reduce_(0, found, place, "amin")
            high.scatter_reduce_(0, found, place, "amax")
            boxes[:, edge], boxes[:, edge + 2] = low[self.numbers], high[self.numbers] + 1
        boxes[boxes[:, 2] <= 0] = 0
        return boxes

    def label_map(self) -> torch.Tensor:
        """(H, W) int32: 0 is background, k + 1 mask k."""
        top = int(max(self.labels.max(), self.numbers.max())) if len(self) else 0
        new = torch.zeros(
            max(top, int(self.labels.max())) + 1, dtype=torch.int32, device=self.device
        )
        new[self.numbers] = torch.arange(1, len(self) + 1, dtype=torch.int32, device=self.device)
        return new[self.labels.long()]
