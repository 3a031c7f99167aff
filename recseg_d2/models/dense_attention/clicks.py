"""An object at a place that somebody points at: one look of the search, where they want it."""

from __future__ import annotations

import torch

from recseg_d2.models.dense_attention.drawing import FoundObjects
from recseg_d2.models.dense_attention.model import DenseAttention
from recseg_d2.models.dense_attention.options import SearchOptions
from recseg_d2.models.dense_attention.search import Search


def object_at(
    model: DenseAttention,
    image: torch.Tensor,
    place: tuple[float, float],
    known: torch.Tensor,
    options: SearchOptions,
    side: int,
) -> FoundObjects:
    """Segment the object at a place, with what is known on the canvas.

    Args:
        model: a DenseAttention in evaluation mode.
        image: (channels, H, W), the normalised image, of any size.
        place: x and y in its pixels.
        known: (H, W) integer label map of objects that are known already; 0 is free.
        options: of the search.
        side: most pixels of the image along an axis that the model sees, around the place.

    Returns:
        One object with its whole mask, over known ones too; none where the mask is empty.
    """
    size = (image.shape[1], image.shape[2])
    rows, columns = (
        _part(at, length, side, model.stride) for at, length in zip(place[::-1], size, strict=True)
    )
    search = Search(model, image[:, rows, columns], options, known[rows, columns])
    drawn = search.look_at((place[0] - columns.start, place[1] - rows.start))
    labels = torch.zeros(size, dtype=torch.int32)
    written = drawn.pixels((rows.stop - rows.start, columns.stop - columns.start))
    if written is not None:
        labels[rows, columns][written[0], written[1]] = (written[2] > 0.5).int()
    found = slice(0, int(labels.any()))
    classes = None if drawn.classes is None else drawn.classes[None][found]
    return FoundObjects(labels, torch.tensor([drawn.score])[found], classes)


def _part(at: float, length: int, side: int, stride: int) -> slice:
    """The pixels of an axis that are looked at: ``side`` around a place, from a whole stride on."""
    start = max(min(int(at - side / 2), length - side), 0)
    start -= start % stride
    return slice(start, min(start + side, length))
