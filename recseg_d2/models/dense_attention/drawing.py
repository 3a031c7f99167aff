"""What has been found so far: the objects of a search, and the label map that they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from recseg_d2.models.dense_attention.windows import write_window


@dataclass
class DrawnObject:
    """An object as it was found.

    Attributes:
        mask: (G, G) probabilities on the cells of its window.
        window: x, y of the corner and side of the window in pixels.
        score: how sure the model is of it, in [0, 1].
        classes: (C,) probabilities, or None where there is one class.
    """

    mask: torch.Tensor
    window: list[int]
    score: float
    classes: torch.Tensor | None = None

    def pixels(self, size: Sequence[int]) -> tuple[slice, slice, torch.Tensor] | None:
        """Rows, columns and probabilities there, for an image of height and width ``size``."""
        return write_window(self.mask, self.window, (size[0], size[1]))


@dataclass
class FoundObjects:
    """The n objects of an image, in the order of discovery.

    Attributes:
        labels: (H, W) int32; 0 is background, k + 1 object k. Every object has a pixel.
        scores: (n,) float in [0, 1], the greater the more certain.
        classes: (n, C) float probabilities, or None where there is one class.
    """

    labels: torch.Tensor
    scores: torch.Tensor
    classes: torch.Tensor | None


class Drawing:
    """Objects in the order of discovery, each pixel owned by the most certain of them.

    Args:
        size: height and width of the image in pixels.
        padded_size: those of the image as the model sees it.
        known: (H, W) integer label map of objects that are known before the search, or None; 0 is
            free. Their pixels cannot be won.

    Attributes:
        labels: (padded H, padded W) int32: 0 free, k + 1 object k, negative where one is known.
        objects: the objects that were drawn.
    """

    def __init__(
        self, size: Sequence[int], padded_size: Sequence[int], known: torch.Tensor | None = None
    ) -> None:
        self.size, self.padded_size = (size[0], size[1]), (padded_size[0], padded_size[1])
        self.labels = torch.zeros(self.padded_size, dtype=torch.int32)
        self.certainty = torch.zeros(self.padded_size)
        if known is not None:
            self.labels[: self.size[0], : self.size[1]] = -known.to(self.labels)
            self.certainty[self.labels < 0] = 1.0
        self.objects: list[DrawnObject] = []
        self._changes: list[tuple[slice, slice]] = []

    def add(self, drawn: DrawnObject, min_area: int, duplicate_iou: float) -> int:
        """Draw an object.

        Args:
            drawn: the object to draw.
            min_area: least number of pixels of the image that it has to win.
            duplicate_iou: IoU with an object drawn before from which on it is the same.

        Returns:
            The object's number, or -1 where it was not drawn.
        """
        written = drawn.pixels(self.padded_size)
        if written is None:
            return -1
        rows, columns, values = written
        labels, certainty = self.labels[rows, columns], self.certainty[rows, columns]
        inside = values > 0.5
        won = inside & (values > certainty)
        in_image = won[: max(self.size[0] - rows.start, 0), : max(self.size[1] - columns.start, 0)]
        if int(in_image.sum()) < min_area or self._is_duplicate(labels, inside, duplicate_iou):
            return -1
        self.objects.append(drawn)
        labels[won] = len(self.objects)
        certainty[won] = values[won]
        self._changes.append((rows, columns))
        return len(self.objects) - 1

    def _is_duplicate(self, labels: torch.Tensor, inside: torch.Tensor, iou: float) -> bool:
        """Whether the pixels ``inside`` are those of an object drawn before."""
        covered = labels[inside]
        covered = covered[covered != 0]
        if not len(covered):
            return False
        numbers, counts = covered.unique(return_counts=True)
        shared, most = counts.max(), numbers[counts.argmax()]
        union = inside.sum() + (self.labels == most).sum() - shared
        return bool(shared / union >= iou)

    def pop_changes(self) -> list[tuple[slice, slice]]:
        """Rows and columns that changed since the last call."""
        changes, self._changes = self._changes, []
        return changes

    def found(self, min_area: int) -> FoundObjects:
        """The objects that still own at least ``min_area`` pixels of the image."""
        labels = self.labels[: self.size[0], : self.size[1]].clamp(min=0)
        areas = torch.bincount(labels.flatten(), minlength=len(self.objects) + 1)[1:]
        kept = [k for k, area in enumerate(areas.tolist()) if area >= max(min_area, 1)]
        return collect(labels, [self.objects[k] for k in kept], [k + 1 for k in kept])


def collect(
    labels: torch.Tensor, objects: Sequence[DrawnObject], numbers: Sequence[int]
) -> FoundObjects:
    """Some of the objects of a label map, renumbered from 1 in the order given.

    Args:
        labels: (H, W) integer label map; 0 is background.
        objects: the objects to take.
        numbers: label of each of them in the map.
    """
    new = torch.zeros(max([int(labels.max()), *numbers]) + 1, dtype=torch.int32)
    new[list(numbers)] = torch.arange(1, len(numbers) + 1, dtype=torch.int32)
    classes = [o.classes for o in objects if o.classes is not None]
    return FoundObjects(
        labels=new[labels.long()],
        scores=torch.tensor([o.score for o in objects]),
        classes=torch.stack(classes) if classes else None,
    )
