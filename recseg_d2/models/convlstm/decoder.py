"""The recurrent decoder of RSIS: image features in, a sequence of objects out.

Source: Salvador et al. 2017, "Recurrent Neural Networks for Semantic Instance Segmentation",
section 3.2, eq. 1 and 2.

Shape letters as in ``recseg_d2.structures``; h w is a level's resolution, D_i its hidden width.
Levels are counted from the deepest (0) to the finest.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.errors import require
from recseg_d2.layers.conv_lstm import CellInputs, ConvLSTMCell, State
from recseg_d2.layers.coordinates import NUM_COORDINATES, append_coordinates, coordinate_maps
from recseg_d2.layers.recompute import recomputed
from recseg_d2.models.convlstm.options import ConvLSTMOptions
from recseg_d2.structures import InstanceSequence


def upsample_to(
    features: torch.Tensor, size: tuple[int, int], align_corners: bool = False
) -> torch.Tensor:
    """Bilinear resize of (B, C, h, w) to ``size``: B2 of eq. 1 where the size is twice as large."""
    if (features.shape[2], features.shape[3]) == size:
        return features
    return F.interpolate(features, size=size, mode="bilinear", align_corners=align_corners)


class ConvLSTMDecoder(nn.Module):
    """Hierarchy of ConvLSTMs, each fed by the one below it and by a skip from the encoder.

    Everything that is the same at every step (skip projections, their part of all gates, the
    coordinates' part) is computed once an image.

    Args:
        feature_widths: channels of the encoder's levels, deepest first; of as many as are used.
        options: MODEL.RSIS: the ConvLSTMs, their skips and heads; one hidden width D_i for each
            level.
        num_classes: C, number of classes; with 1 there is no class head.

    Raises:
        OptionError: not as many hidden widths as levels, or none.

    Attributes:
        recompute_steps: compute each step anew for its gradient, which saves memory.
    """

    recompute_steps = False

    def __init__(
        self, feature_widths: Sequence[int], options: ConvLSTMOptions, num_classes: int
    ) -> None:
        super().__init__()
        hidden_widths, levels = options.hidden_widths, len(feature_widths)
        fits = 1 <= len(hidden_widths) == levels
        require(fits, options, "hidden_widths", f"one for each of {levels} feature levels")
        self.skip_mode = options.skip_mode
        self.coordinates = options.coordinates
        self.align_corners = options.align_corners
        below = [hidden_widths[0], *hidden_widths[:-1]]  # S_i is as wide as what it joins
        with_skip = [i == 0 or self.skip_mode != "none" for i in range(len(hidden_widths))]
        self.skips = nn.ModuleList(
            _skip_projection(f, b) if used else nn.Identity()
            for f, b, used in zip(feature_widths, below, with_skip, strict=True)
        )
        self.cells = nn.ModuleList(
            ConvLSTMCell(
                0 if i == 0 else below[i],
                self._static_width(i, below[i]),
                width,
                options.forget_bias,
            )
            for i, width in enumerate(hidden_widths)
        )
        kernel = options.mask_kernel
        self.mask_head = nn.Conv2d(hidden_widths[-1], 1, kernel, padding=kernel // 2)
        pooled = sum(hidden_widths)
        self.stop_head = nn.Linear(pooled, 1)
        self.class_head = nn.Linear(pooled, num_classes) if num_classes > 1 else None
        self.box_head = nn.Linear(pooled, 4) if options.box_head else None

    def _static_width(self, level: int, skip_width: int) -> int:
        """Channels of level's input that no step changes."""
        own = skip_width if level == 0 or self.skip_mode == "concat" else 0
        return own + (NUM_COORDINATES if self.coordinates else 0)

    def forward(
        self,
        features: Sequence[torch.Tensor],
        image_size: tuple[int, int],
        steps: int,
        stop_threshold: float | None = None,
        lengths: Sequence[int] | None = None,
    ) -> InstanceSequence:
        """Emit one object a step.

        A batch takes as many steps as its longest sequence. In training an image's later steps
        count for nothing, so with ``lengths`` each step is run for those images only that still
        need it, as packed sequences of any recurrent network are.

        Args:
            features: (B, feature_widths[i], h_i, w_i) each, deepest first.
            image_size: H and W of the masks to return.
            steps: T, how many steps to run.
            stop_threshold: where given, stop as soon as every image of the batch has had a step
                whose objectness lies under it. That step is in the result.
            lengths: steps that each image needs, the longest first; the later steps of an image
                are filled with zeros.

        Returns:
            A sequence of T steps or fewer.
        """
        skips = [project(f) for project, f in zip(self.skips, features, strict=True)]
        inputs = [self._prepare(i, skip) for i, skip in enumerate(skips)]
        states = [
            cast(ConvLSTMCell, cell).initial_state(f.shape[0], (f.shape[2], f.shape[3]), f)
            for cell, f in zip(self.cells, features, strict=True)
        ]
        masks: list[torch.Tensor] = []
        pooled: list[torch.Tensor] = []
        batch = features[0].shape[0]
        alive = torch.ones(batch, dtype=torch.bool, device=features[0].device)
        for step in range(steps):
            if lengths is not None:
                live = sum(length > step for length in lengths)
                states = [(h[:live], c[:live]) for h, c in states]
                inputs = [i.first(live) for i in inputs]
                skips = [s[:live] for s in skips]
            states = recomputed(self.recompute_steps, self._step, states, inputs, skips)
            masks.append(_fill(self._mask(states[-1][0]), batch))
            maxima = torch.cat([h.amax(dim=(2, 3)) for h, _ in states], dim=1)
            pooled.append(_fill(maxima, batch))
            if stop_threshold is not None:
                alive &= self.stop_head(pooled[-1])[:, 0].sigmoid() >= stop_threshold
                if not alive.any():
                    break
        return self._emit(torch.cat(masks, dim=1), torch.stack(pooled, dim=1), image_size)

    def _prepare(self, level: int, skip: torch.Tensor) -> CellInputs:
        """The part of a level's gates that all steps share."""
        cell = cast(ConvLSTMCell, self.cells[level])
        if level == 0 or self.skip_mode == "concat":
            return cell.prepare(append_coordinates(skip) if self.coordinates else skip)
        size = (skip.shape[2], skip.shape[3])
        prepared = cell.prepare(coordinate_maps(size, skip) if self.coordinates else None)
        if self.skip_mode == "sum":  # W * (x + S) = W * x + W * S
            prepared.static_gates = prepared.static_gates + cell.changing_gates(skip)
        return prepared

    def _step(
        self, states: list[State], inputs: list[CellInputs], skips: list[torch.Tensor]
    ) -> list[State]:
        """Eq. 2 for the deepest level, then eq. 1 up the chain."""
        new: list[State] = []
        for level, cell in enumerate(self.cells):
            x = None
            if level > 0:
                hidden = states[level][0]
                size = (hidden.shape[2], hidden.shape[3])
                x = upsample_to(new[-1][0], size, self.align_corners)
                if self.skip_mode == "mul":
                    x = x * skips[level]
            new.append(cell(x, states[level], inputs[level]))
        return new

    def _mask(self, hidden: torch.Tensor) -> torch.Tensor:
        """(B, D, h, w) to mask logits (B, 1, h, w), or of twice that size.

        A 1x1 convolution and the bilinear upsampling are linear and commute, so that one runs at
        the finest level's resolution.
        """
        if self.mask_head.kernel_size != (1, 1):
            size = (2 * hidden.shape[2], 2 * hidden.shape[3])
            hidden = upsample_to(hidden, size, self.align_corners)
        return self.mask_head(hidden)

    def _emit(
        self, masks: torch.Tensor, pooled: torch.Tensor, image_size: tuple[int, int]
    ) -> InstanceSequence:
        """Masks at the image's size; the other heads over all steps at once."""
        return InstanceSequence(
            mask_logits=upsample_to(masks, image_size, self.align_corners),
            score_logits=self.stop_head(pooled)[..., 0],
            class_logits=None if self.class_head is None else self.class_head(pooled),
            boxes=None if self.box_head is None else self.box_head(pooled).sigmoid(),
        )


def _fill(values: torch.Tensor, batch: int) -> torch.Tensor:
    """(b, ...) to (batch, ...) with zeros behind."""
    if len(values) == batch:
        return values
    return torch.cat([values, values.new_zeros(batch - len(values), *values.shape[1:])])


def _skip_projection(in_width: int, out_width: int) -> nn.Module:
    """S_i of eq. 1: a 3x3 convolution, and batch norm as in the public code; no ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_width, out_width, kernel_size=3, padding=1), nn.BatchNorm2d(out_width)
    )
