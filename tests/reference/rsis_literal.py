"""RSIS's decoder as the paper writes it: every step concatenates everything and recomputes it.

Equations 1 and 2 of Salvador et al. 2017, the skip projections, all gates and the mask head at
input resolution included. Parameters have the names and layouts of ``ConvLSTMDecoder``.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.structures import InstanceSequence


def upsample(x, size):
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def coordinates(size, like):
    """y, x and radius of every pixel, (3, *size)."""
    height, width = size
    y = torch.tensor([(i + 0.5) / height * 2 - 1 for i in range(height)], dtype=torch.float64)
    x = torch.tensor([(j + 0.5) / width * 2 - 1 for j in range(width)], dtype=torch.float64)
    y, x = y[:, None].expand(size), x[None].expand(size)
    return torch.stack([y, x, (y * y + x * x).sqrt() - 1]).to(like)


def level_input(decoder, level, features, below):
    """What the convolution of one level sees beside its own hidden state, in the weights' order."""
    size = features[level].shape[2:]
    changing, static = [], []
    skip = None
    if level == 0 or decoder.skip_mode != "none":
        skip = decoder.skips[level](features[level])
    if level == 0:
        static.append(skip)
    else:
        x = upsample(below, size)
        if decoder.skip_mode == "sum":
            x = x + skip
        if decoder.skip_mode == "mul":
            x = x * skip
        if decoder.skip_mode == "concat":
            static.append(skip)
        changing.append(x)
    if decoder.coordinates:
        maps = coordinates(size, features[level])
        static.append(maps[None].expand(len(features[level]), -1, -1, -1))
    return changing, static


def literal_decode(decoder: nn.Module, features, image_size, steps):
    """Mask logits (B, T, H, W), score logits (B, T), boxes (B, T, 4) or None, class logits."""
    batch = len(features[0])
    states = [
        tuple(f.new_zeros(batch, c.hidden_width, *f.shape[2:]) for _ in range(2))
        for f, c in zip(features, decoder.cells, strict=True)
    ]
    masks, scores, boxes, classes = [], [], [], []
    for _ in range(steps):
        below = None
        for level, cell in enumerate(decoder.cells):
            hidden, memory = states[level]
            changing, static = level_input(decoder, level, features, below)
            gates = cell.gates(torch.cat([*changing, hidden, *static], dim=1))
            i, f, o, g = gates.chunk(4, dim=1)
            memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
            below = o.sigmoid() * memory.tanh()
            states[level] = (below, memory)
        masks.append(decoder.mask_head(upsample(below, image_size))[:, 0])
        pooled = torch.cat([h.flatten(2).max(dim=2).values for h, _ in states], dim=1)
        scores.append(decoder.stop_head(pooled)[:, 0])
        if decoder.box_head is not None:
            boxes.append(decoder.box_head(pooled).sigmoid())
        if decoder.class_head is not None:
            classes.append(decoder.class_head(pooled))
    stack = [torch.stack(x, dim=1) if x else None for x in (masks, scores, boxes, classes)]
    return tuple(stack)


def make_literal(model: nn.Module) -> None:
    """Let a ConvLSTMSemInstSeg decode literally; for the benchmarks."""

    def forward(features, image_size, steps, stop_threshold=None, lengths=None):
        # every step for every image, whatever each of them needs
        masks, scores, boxes, classes = literal_decode(model.decoder, features, image_size, steps)
        return InstanceSequence(masks, scores, classes, boxes)

    model.decoder.forward = forward
