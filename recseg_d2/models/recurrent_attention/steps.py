"""What the recurrent attention model hands from step to step, and what it emits in the end.

Source and letters as in ``model``; G glimpses, P Q the patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch

from recseg_d2.losses.ignored import NEVER
from recseg_d2.models.recurrent_attention.box_network import Glance, LSTMState
from recseg_d2.models.recurrent_attention.feeding import Feeder
from recseg_d2.models.recurrent_attention.foreground_angle import ForegroundAngleMaps
from recseg_d2.models.recurrent_attention.windows import Window, WindowDecoder
from recseg_d2.structures import InstanceSequence

Images = torch.Tensor | slice  # some images of a batch: (b,) int64, or the first ones


@dataclass
class AttentionSequence(InstanceSequence):
    """An ``InstanceSequence`` with the Gaussian boxes that this model's loss compares.

    Attributes:
        box_logits: (B, T, H, W), eq. 25 before its sigmoid; None without box network.
        maps: what the pre-processor says of the images; None without it.
    """

    box_logits: torch.Tensor | None = None
    maps: ForegroundAngleMaps | None = None


@dataclass
class SharedInput:
    """What all steps of a sequence share: made once an image.

    Attributes:
        rows: (B, H, C, W), the image and the pre-processor's maps, as ``read_patch`` takes them.
        prepared: the box network's first convolution over them; None without that network.
    """

    rows: torch.Tensor
    prepared: torch.Tensor | None

    def take(self, images: Images) -> SharedInput:
        """That of some of the images."""
        prepared = None if self.prepared is None else self.prepared[images]
        return SharedInput(self.rows[images], prepared)


@dataclass
class Running:
    """Images whose sequence has not ended, b of a batch's B, and what they bring into a step.

    Attributes:
        numbers: (b,) int64, their numbers in the batch.
        alive: (b,) bool; False where an image has ended, and is kept all the same.
        shared: what all their steps share.
        canvas: (b, H, W), what has been found; None without canvas.
        state: of the LSTM, where a step goes on with that of the step before.
        feeder: gives ground truth in place of what was predicted; None gives none.
    """

    numbers: torch.Tensor
    alive: torch.Tensor
    shared: SharedInput
    canvas: torch.Tensor | None
    state: LSTMState | None = None
    feeder: Feeder | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def take(self, images: Images) -> Running:
        """Some of them; the same object where these are all."""
        numbers = self.numbers[images]
        if len(numbers) == len(self):
            return self
        return Running(
            numbers,
            self.alive[images],
            self.shared.take(images),
            None if self.canvas is None else self.canvas[images],
            None if self.state is None else (self.state[0][images], self.state[1][images]),
            None if self.feeder is None else self.feeder.take(images),
        )


@dataclass
class Step:
    """One step.

    Attributes:
        mask_logits: (B, H, W), the mask of the step.
        features: (B, F), what scores and classes are read from.
        window: predicted, before any ground truth took its place.
        box_logits: (B, H, W), the Gaussian box of the step; None without box network.
        glance: what the box network saw and decided; None without box network.
        heat: (B, P, Q), the segmentation network's heat map; None without that network.
    """

    mask_logits: torch.Tensor
    features: torch.Tensor
    window: Window
    box_logits: torch.Tensor | None = None
    glance: Glance | None = None
    heat: torch.Tensor | None = None

    def spread(self, numbers: torch.Tensor, batch: int) -> Step:
        """The step as one of a whole batch, in which the images that were left out found nothing.

        Args:
            numbers: (b,) int64, which images of the batch the step's are.
            batch: B, number of images. Those left out get masks and boxes of probability 0, and
                zeros for the rest.
        """
        if len(numbers) == batch:
            return self
        full: Step = _spread(self, numbers, batch)
        return full


def spread(values: torch.Tensor, numbers: torch.Tensor, batch: int, fill: float) -> torch.Tensor:
    """(b, ...) values of the images (b,) to (batch, ...), ``fill`` for the others."""
    if len(values) == batch:
        return values
    full = values.new_full((batch, *values.shape[1:]), fill)
    return full.index_copy(0, numbers, values)


_FILLS = {"mask_logits": NEVER, "box_logits": NEVER}  # fields of ``Step``; others get zeros


def _spread(part: Any, numbers: torch.Tensor, batch: int, fill: float = 0.0) -> Any:
    """``spread`` of every tensor in a dataclass or tuple of them."""
    if part is None:
        return None
    if isinstance(part, torch.Tensor):
        return spread(part, numbers, batch, fill)
    if isinstance(part, tuple):
        return tuple(_spread(x, numbers, batch) for x in part)
    names = [field.name for field in fields(part)]
    parts = {n: _spread(getattr(part, n), numbers, batch, _FILLS.get(n, 0.0)) for n in names}
    return replace(part, **parts)


def trace_of(taken: Sequence[Step], windows: WindowDecoder) -> dict[str, torch.Tensor]:
    """What figures show of a sequence, as far as the networks have it.

    Args:
        taken: the steps, in order.
        windows: the model's decoder of windows.

    Returns:
        "glimpses" (B, T, G, h, w); "box_maps" (B, T, H, W); "box_params" (B, T, 4), centre y, x and
        height, width in pixels; "patch_masks" (B, T, P, Q), probabilities.
    """
    named: dict[str, list[torch.Tensor]] = {}
    for step in taken:
        if step.glance is not None and step.box_logits is not None:
            named.setdefault("glimpses", []).append(step.glance.attention)
            named.setdefault("box_maps", []).append(step.box_logits.sigmoid())
            numbers = torch.cat([step.window.centre, step.window.size], dim=1)
            named.setdefault("box_params", []).append(numbers)
        if step.heat is not None:
            probability = windows.flat_level(step.window, step.heat)
            named.setdefault("patch_masks", []).append(probability)
    return {name: torch.stack(values, dim=1) for name, values in named.items()}
