"""What training asks for and what inference makes of it, closed into a circle.

A network that emits exactly its training targets finds nearly all objects, nearly exactly: labels,
pyramid, windows, suppression and pasting agree about where everything lies.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.assembling import gather_windows
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.metrics.average_recall import AverageRecall
from recseg_d2.models.instance_fcn.labels import label_windows
from recseg_d2.models.instance_fcn.network import InstanceFCN, ProposalMaps
from recseg_d2.models.instance_fcn.options import HeadOptions, LabelRules, ProposalOptions
from recseg_d2.models.instance_fcn.pasting import paste_masks
from recseg_d2.models.instance_fcn.proposals import propose

STRIDE, SIZE = 8, (240, 320)
SCALES = tuple(240 * 1.5**power for power in range(-3, 3))  # 1.5 apart, as the paper's


class TargetNetwork(InstanceFCN):
    """Emits the targets: an image's three channels are the masks of three objects."""

    def __init__(self, cells: int) -> None:
        super().__init__(
            nn.Identity(), 3, STRIDE, HeadOptions(parts=1, window=cells, branch_width=1)
        )

    def forward(self, images: torch.Tensor) -> ProposalMaps:
        self.labels = label_windows(
            masks_to_boxes(images[0] > 0.5),
            (images.shape[2] // STRIDE, images.shape[3] // STRIDE),
            self.geometry,
            LabelRules(),
        )
        objectness = torch.where(self.labels >= 0, self.labels.float() + 1, -5.0)
        return ProposalMaps(F.avg_pool2d(images, STRIDE), objectness[None, None])

    def mask_logits(self, maps: ProposalMaps, windows: torch.Tensor) -> torch.Tensor:
        """Of positive windows, the shares of cells that the object covers; else nothing."""
        owner = maps.objectness[0, 0, windows[:, 1], windows[:, 2]].long() - 1
        cells = torch.zeros(self.window, self.window, dtype=torch.int64)
        corners = self.geometry.corners(windows)
        of_all = torch.stack([gather_windows(maps.mask_maps, corners, cells + k) for k in range(3)])
        shares = of_all[owner.clamp(min=0), torch.arange(len(windows))]
        return torch.where(owner[:, None, None] >= 0, torch.logit(shares, eps=1e-3), -9.0)


def ellipses(rng: np.random.Generator) -> torch.Tensor:
    """(3, H, W) masks of 46 to 200 pixels, which the scales fit, anywhere, over the border too."""
    y, x = np.meshgrid(*(np.arange(s) + 0.5 for s in SIZE), indexing="ij")
    masks = []
    for _ in range(3):
        radius = 23 * (100 / 23) ** rng.random()
        other, angle = radius * rng.uniform(0.4, 1), rng.uniform(0, np.pi)
        dy, dx = y - rng.uniform(20, SIZE[0] - 20), x - rng.uniform(20, SIZE[1] - 20)
        along, across = (
            dx * np.cos(angle) + dy * np.sin(angle),
            dy * np.cos(angle) - dx * np.sin(angle),
        )
        masks.append((along / radius) ** 2 + (across / other) ** 2 < 1)
    return torch.from_numpy(np.stack(masks))


@pytest.mark.parametrize("cells", [21, 14])
def test_targets_are_found_again(cells):
    rng = np.random.default_rng(0)
    options = ProposalOptions(scales=SCALES, mask_thresh=0.5, topk=100)
    network, recall = TargetNetwork(cells), AverageRecall(limits=(3, 100))
    for image in range(6):
        masks = ellipses(rng)
        found, _ = propose(network, masks.float(), SIZE, options)
        pasted = paste_masks(found.mask_logits, found.windows, SIZE, options.mask_thresh)
        flat, true = pasted.flatten(1).float(), masks.flatten(1).float()
        shared = flat @ true.T
        ious = shared / (flat.sum(1)[:, None] + true.sum(1) - shared)
        recall.update(image, ious.numpy(), np.zeros(3, bool), true.sum(1).numpy())
    assert recall.curve(np.array([0.9]))[1, 0] > 0.9
    assert recall.summary()["AR@100"] > 90
