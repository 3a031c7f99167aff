"""Part C, the segmentation network: from a patch to its heat map.

Source: Ren & Zemel 2017, section 2.3, eq. 17 and 18, table 9. Letters: B images, C channels of the
patch, P Q its size.
"""

from __future__ import annotations

import torch
from torch import nn

from recseg_d2.layers.step_norm import MakeNorm
from recseg_d2.models.recurrent_attention.conv_stack import ConvStep, DeconvStep, pooled_size
from recseg_d2.models.recurrent_attention.options import PatchOptions


class SegmentationNetwork(nn.Module):
    """Convolutions down to v, transposed convolutions up to the heat map.

    Each level of the encoder, the patch itself being the first, may come back where the decoder has
    its resolution: the k-th last level joins the input of the decoder's layer k (table 9).

    Args:
        in_width: C, channels of the patch.
        options: the sizes of the layers.
        make_norm: function that makes a norm for a number of channels; the norm is called with the
            step.
    """

    def __init__(self, in_width: int, options: PatchOptions, make_norm: MakeNorm) -> None:
        super().__init__()
        before = [in_width, *options.widths[:-1]]  # channels of the levels, the patch first
        self.encoder = nn.ModuleList(
            ConvStep(b, w, p, make_norm)
            for b, w, p in zip(before, options.widths, options.pools, strict=True)
        )
        self.skips = (False, *reversed(options.skips))  # into each layer above
        layers: list[DeconvStep] = []
        width = options.widths[-1]
        levels = [0, *reversed(before)]
        strides = [*reversed(options.pools), 1]
        for skip, level, out, stride in zip(
            self.skips, levels, [*options.decoder_widths, 1], strides, strict=True
        ):
            linear = len(layers) == len(options.widths) and not options.positive
            layers.append(DeconvStep(width + level * skip, out, stride, make_norm, linear))
            width = out
        self.decoder = nn.ModuleList(layers)
        height, width = pooled_size(options.size, options.pools)
        self.bottleneck_width = options.widths[-1] * height * width

    def forward(self, patch: torch.Tensor, step: int) -> tuple[torch.Tensor, torch.Tensor]:
        """(B, C, P, Q) to v as (B, bottleneck_width), and the heat map (B, P, Q)."""
        levels = [patch]
        for layer in self.encoder:
            levels.append(layer(levels[-1], step))
        bottleneck = x = levels.pop()
        beside = [None, *reversed(levels)]  # what has each layer's resolution
        for layer, level, skip in zip(self.decoder, beside, self.skips, strict=True):
            x = layer(torch.cat([x, level], dim=1) if skip and level is not None else x, step)
        return bottleneck.flatten(1), x[:, 0]
