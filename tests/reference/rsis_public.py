"""The network of the public RSIS code (imatge-upc/rsis), written out anew under its names.

Encoder: a ResNet of basic blocks with torchvision's names in ``base``, and a 3x3 convolution with
batch norm for each of its five feature maps. Decoder: five ConvLSTMs of D, D/2, D/4, D/8 and D/16
channels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn

FEATURES = (512, 256, 128, 64, 64)  # deepest first


class Block(nn.Module):
    def __init__(self, before, width, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(before, width, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = None
        if stride != 1 or before != width:
            conv = nn.Conv2d(before, width, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(width))

    def forward(self, x):
        beside = x if self.downsample is None else self.downsample(x)
        x = F.relu(self.bn1(self.conv1(x)))
        return F.relu(self.bn2(self.conv2(x)) + beside)


class Base(nn.Module):
    """torchvision's ResNet-18; before the max-pooling its first map is taken too."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        before = 64
        for stage, width in enumerate((64, 128, 256, 512), 1):
            blocks = [Block(before, width, 1 if stage == 1 else 2), Block(width, width, 1)]
            setattr(self, f"layer{stage}", nn.Sequential(*blocks))
            before = width
        self.fc = nn.Linear(512, 1000)

    def forward(self, x):
        x1 = F.relu(self.bn1(self.conv1(x)))
        x2 = self.layer1(F.max_pool2d(x1, 3, 2, 1))
        x3 = self.layer2(x2)
        x4 = self.layer3(x3)
        return self.layer4(x4), x4, x3, x2, x1


class Encoder(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.base = Base()
        for level, (before, width) in enumerate(
            zip(FEATURES, (d, d, d // 2, d // 4, d // 8), strict=True)
        ):
            setattr(self, f"sk{5 - level}", nn.Conv2d(before, width, 3, padding=1))
            setattr(self, f"bn{5 - level}", nn.BatchNorm2d(width))

    def forward(self, x):
        maps = self.base(x)
        names = zip((5, 4, 3, 2, 1), maps, strict=True)
        return [getattr(self, f"bn{n}")(getattr(self, f"sk{n}")(m)) for n, m in names]


class Cell(nn.Module):
    def __init__(self, seen, width):
        super().__init__()
        self.width = width
        self.Gates = nn.Conv2d(seen + width, 4 * width, 3, padding=1)

    def forward(self, x, state):
        if state is None:
            zero = x.new_zeros(len(x), self.width, *x.shape[2:])
            state = (zero, zero)
        hidden, cell = state
        gates = self.Gates(torch.cat([x, hidden], 1))
        let_in, remember, let_out, new = gates.chunk(4, 1)
        cell = remember.sigmoid() * cell + let_in.sigmoid() * new.tanh()
        return let_out.sigmoid() * cell.tanh(), cell


class Decoder(nn.Module):
    """Step by step; with num_classes the first of them ends a sequence."""

    def __init__(self, d, num_classes, skip_mode):
        super().__init__()
        self.skip_mode = skip_mode
        widths = [d, d // 2, d // 4, d // 8, d // 16]
        twice = 2 if skip_mode == "concat" else 1
        seen = [d, *(twice * w for w in widths[:-1])]
        self.clstm_list = nn.ModuleList(Cell(s, w) for s, w in zip(seen, widths, strict=True))
        self.conv_out = nn.Conv2d(widths[-1], 1, 3, padding=1)
        self.fc_class = nn.Linear(sum(widths), num_classes)
        self.fc_stop = nn.Linear(sum(widths), 1)

    def forward(self, skips, states):
        x, new, maxima = skips[0], [], []
        for level, cell in enumerate(self.clstm_list):
            state = cell(x, None if states is None else states[level])
            hidden = state[0]
            new.append(state)
            maxima.append(hidden.amax((2, 3)))
            last = level + 1 == len(skips)
            size = [2 * s for s in hidden.shape[2:]] if last else skips[level + 1].shape[2:]
            x = F.interpolate(hidden, size=tuple(size), mode="bilinear", align_corners=True)
            if not last and self.skip_mode == "concat":
                x = torch.cat([x, skips[level + 1]], 1)
            elif not last and self.skip_mode == "sum":
                x = x + skips[level + 1]
            elif not last and self.skip_mode == "mul":
                x = x * skips[level + 1]
        pooled = torch.cat(maxima, 1)
        return self.conv_out(x), self.fc_class(pooled), self.fc_stop(pooled), new


def run_public(encoder, decoder, images, steps):
    """Mask, class and stop logits, (B, T, H, W), (B, T, classes) and (B, T)."""
    skips, states, outputs = encoder(images), None, []
    for _ in range(steps):
        mask, classes, stop, states = decoder(skips, states)
        size = images.shape[2:]
        mask = F.interpolate(mask, size=size, mode="bilinear", align_corners=True)
        outputs.append((mask[:, 0], classes, stop[:, 0]))
    return [torch.stack(values, 1) for values in zip(*outputs, strict=True)]
