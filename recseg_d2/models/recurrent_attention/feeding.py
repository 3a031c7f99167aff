"""Ground truth fed back in training: scheduled sampling.

Source: Ren & Zemel 2017, section 2.6, eq. 36 and 37; the noise and the feeding of boxes are the
public code's ("knob"). Letters as in ``recseg_d2.structures``.
"""

from __future__ import annotations

import copy
import math
from typing import Literal

import torch

from recseg_d2.layers.boxes import corners_window, window_corners
from recseg_d2.layers.matching import soft_iou_matrix
from recseg_d2.models.recurrent_attention.box_iou import BoxIoU, PaddedBoxes
from recseg_d2.models.recurrent_attention.options import FeedingOptions
from recseg_d2.models.recurrent_attention.windows import Window, WindowDecoder
from recseg_d2.structures import InstanceTargets

Fed = Literal["masks", "boxes"]


def feeding_probability(options: FeedingOptions, fed: Fed, iteration: int, step: int) -> float:
    """Eq. 36 and 37, step counted from 0: ``min(1, base (1 + log(1 + K t)) e^(-..))``.

    Before the schedule starts the exponent is 0, as in the code; with a base of 1 that is the
    paper's value too, since Gamma is 1 or more.
    """
    when, start = options.masks, options.mask_start
    if fed == "boxes":
        when, start = options.boxes, options.box_start
    if when != "schedule":
        return 1.0 if when == "always" else 0.0
    gain = 1 + math.log(1 + options.step_gain * step)
    fall = math.exp(-max(0.0, iteration - start) / options.decay)
    return min(1.0, options.base * gain * fall)


class Feeder:
    """Feeds one batch: chooses objects, draws lots for each image and step, disturbs.

    Args:
        options: when ground truth is fed back, MODEL.RIS.SAMPLING.
        box_iou: how boxes are compared.
        targets: the true objects of the batch.
        iteration: iteration of training, from 0.
        steps: T, number of steps that are run.
        in_order: step t is fed object t, instead of the one that overlaps most.
    """

    def __init__(
        self,
        options: FeedingOptions,
        box_iou: BoxIoU,
        targets: InstanceTargets,
        iteration: int,
        steps: int,
        in_order: bool = False,
    ) -> None:
        self.in_order = in_order
        self.options = options
        self.box_iou = box_iou
        self.targets = targets
        height, width = targets.masks.shape[2:]
        self.corners = targets.boxes * targets.boxes.new_tensor([width, height, width, height])
        self.padded = box_iou.pad(targets)
        self.used = torch.zeros_like(targets.valid)
        self._mask_lots = self._lots("masks", iteration, steps)
        self._box_lots = self._lots("boxes", iteration, steps)

    @property
    def feeds_boxes(self) -> bool:
        """Whether any step of the batch may get a box."""
        return self._box_lots is not None

    @property
    def feeds_masks(self) -> bool:
        """Whether any step of the batch may get a mask."""
        return self._mask_lots is not None

    def take(self, images: torch.Tensor | slice) -> Feeder:
        """The feeder of some of the images, with their lots and what they have been fed."""
        own = copy.copy(self)
        own.targets, own.corners = self.targets.take(images), self.corners[images]
        own.padded = PaddedBoxes(self.padded.corners[images], self.padded.maps[images])
        own.used = self.used[images]
        own._mask_lots, own._box_lots = (
            None if lots is None else lots[images] for lots in (self._mask_lots, self._box_lots)
        )
        return own

    def window(
        self, decoder: WindowDecoder, window: Window, box_logits: torch.Tensor, step: int
    ) -> Window:
        """The window to segment: the predicted one, or a disturbed object's box in its place.

        Args:
            decoder: the model's decoder of windows.
            window: the window that was predicted.
            box_logits: (B, H, W), its Gaussian box.
            step: number of the step, from 0.
        """
        assert self._box_lots is not None
        chosen, exists = self._choose(self._box_overlap(window, box_logits), step)
        centre, size = self._disturbed_box(chosen)
        return decoder.move(window, centre, size, self._box_lots[:, step] & exists)

    def mask(
        self, window: Window, box_logits: torch.Tensor | None, mask: torch.Tensor, step: int
    ) -> torch.Tensor:
        """What the canvas gets: the prediction, or a disturbed object in its place.

        Args:
            window: the window that was predicted.
            box_logits: (B, H, W), its Gaussian box; None without box network.
            mask: (B, H, W), predicted probabilities.
            step: number of the step, from 0.
        """
        assert self._mask_lots is not None
        if self.options.overlap == "box" and box_logits is not None:
            overlap = self._box_overlap(window, box_logits)
        else:
            overlap = soft_iou_matrix(mask.detach()[:, None], self.targets.masks)[:, 0]
        chosen, exists = self._choose(overlap, step)
        where = self._mask_lots[:, step] & exists
        if not self.options.reuse:
            taken = torch.zeros_like(self.used).scatter(1, chosen[:, None], where[:, None])
            self.used = self.used | taken
        fed = self.targets.masks[torch.arange(len(chosen), device=chosen.device), chosen]
        fed = fed * (1 - self.options.mask_noise * torch.rand_like(fed))
        return torch.where(where[:, None, None], fed.to(mask.dtype), mask)

    @torch.no_grad()
    def _box_overlap(self, window: Window, box_logits: torch.Tensor) -> torch.Tensor:
        """(B, N) of the predicted box with each object's padded one."""
        corners = window_corners(window.centre, window.size)
        return self.box_iou.matrix(box_logits[:, None], corners[:, None], self.padded)[:, 0]

    def _disturbed_box(self, chosen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Centre and size, (B, 2) each, of the objects' boxes with padding and shift at random."""
        own = self.corners.gather(1, chosen[:, None, None].expand(-1, 1, 4))[:, 0]
        noise = 2 * torch.rand_like(own[:, :1]) - 1
        padded = self.box_iou.grow(own, self.options.box_padding_noise * noise)
        centre, size = corners_window(padded)
        extent = corners_window(own)[1] + 1
        shift = self.options.box_shift * (2 * torch.rand_like(centre) - 1)
        return centre + shift * extent, size.clamp(min=1.0)  # of one pixel too: it is divided by

    def _choose(self, overlap: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The object of the largest overlap, of equal ones the first; and whether there is one."""
        if self.in_order:
            last = overlap.shape[1] - 1
            return torch.full_like(self.targets.counts, min(step, last)), step < self.targets.counts
        free = self.targets.valid & ~self.used
        ranked = overlap.masked_fill(~free, -1.0)
        return ranked.argmax(dim=1), free.any(dim=1)

    def _lots(self, fed: Fed, iteration: int, steps: int) -> torch.Tensor | None:
        """(B, T) bool, where to feed; None where that is nowhere possible."""
        shares = [feeding_probability(self.options, fed, iteration, t) for t in range(steps)]
        if max(shares, default=0.0) == 0.0:
            return None
        device = self.targets.valid.device
        drawn = torch.rand(len(self.targets.valid), steps, device=device)
        return drawn < torch.tensor(shares, device=device)
