"""The whole of inference against a literal one, and what each part of it promises."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from reference import proposals_literal as literal
from reference.instance_fcn_literal import assemble
from torch import nn

from recseg_d2.layers import nms
from recseg_d2.layers.assembling import OUTSIDE_LOGIT
from recseg_d2.models.instance_fcn import proposals
from recseg_d2.models.instance_fcn.network import InstanceFCN
from recseg_d2.models.instance_fcn.options import HeadOptions, ProposalOptions
from recseg_d2.models.instance_fcn.proposals import (
    build_pyramid,
    propose,
    pyramid_size,
    rank_windows,
    tight_boxes,
)
from recseg_d2.structures import MaskProposals

STRIDE = 4
SIZE = (30, 41)  # asked for; the image that comes in has another
OPTIONS = ProposalOptions(scales=(12, 18.5, 33), nms_thresh=0.6, pre_nms_topk=0, topk=40)


@pytest.fixture
def network() -> InstanceFCN:
    """Random and in float64, with masks that differ and are neither full nor empty."""
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 6, STRIDE, stride=STRIDE), nn.Tanh())
    network = InstanceFCN(
        backbone, 6, STRIDE, HeadOptions(parts=3, window=7, branch_width=8)
    ).double()
    for parameter in network.mask_branch.parameters():
        nn.init.normal_(parameter, std=0.7)
    for parameter in network.score_branch.parameters():
        nn.init.normal_(parameter, std=0.7)
    return network.eval()


@pytest.fixture
def image() -> torch.Tensor:
    return torch.randn(3, 24, 33, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@torch.no_grad()
def literal_proposals(network, image, size, options) -> list[dict]:
    """All windows of all scales, the paper's way."""
    found = []
    for level in build_pyramid(network, image, options):
        maps = level.maps.mask_maps
        zoom_y, zoom_x = size[0] / level.size[0], size[1] / level.size[1]
        scale = np.array([zoom_x, zoom_y, zoom_x, zoom_y])
        for row in range(maps.shape[2]):
            for column in range(maps.shape[3]):
                centre = torch.tensor([[0, row, column]])
                mask = assemble(maps, centre, network.window, OUTSIDE_LOGIT)[0].double().numpy()
                corner = np.array([column, row]) - network.window // 2
                window = np.concatenate([corner, corner + network.window]) * STRIDE * scale
                box = literal.tight_box(mask, window, size, options.mask_thresh)
                score = float(level.maps.objectness[0, 0, row, column])
                if box is not None:
                    found.append({"mask": mask, "window": window, "box": box, "score": score})
    kept = literal.greedy_nms(
        [f["box"] for f in found], [f["score"] for f in found], options.nms_thresh
    )
    return [found[i] for i in kept[: options.topk]]


def assert_same(ours: MaskProposals, theirs: list[dict]) -> None:
    assert len(ours) == len(theirs)
    for k, expected in enumerate(theirs):
        np.testing.assert_allclose(ours.objectness[k], expected["score"])
        np.testing.assert_allclose(ours.mask_logits[k], expected["mask"])
        np.testing.assert_allclose(ours.windows[k], expected["window"], atol=1e-4)
        np.testing.assert_allclose(ours.boxes[k], expected["box"], atol=1e-4)


@pytest.mark.parametrize("top", [5, 40, 100000])
@pytest.mark.parametrize("block", [16, 1024])
def test_equals_the_literal_procedure(network, image, monkeypatch, top, block):
    monkeypatch.setattr(proposals, "BLOCK", block)
    options = replace(OPTIONS, topk=top)
    with torch.no_grad():
        ours, _ = propose(network, image, SIZE, options)
    assert 5 <= len(ours) <= top
    assert (ours.objectness.diff() <= 0).all()
    assert_same(ours, literal_proposals(network, image, SIZE, options))


@pytest.mark.parametrize("size", [(24, 33), (33, 24), (48, 48)])
def test_scales_may_be_shares_of_the_image(network, size):
    image = torch.zeros(3, *size, dtype=torch.float64)
    options = replace(OPTIONS, scales=(0.25, 0.5, 1.0), scale_unit="image")
    with torch.no_grad():
        sizes = [level.size for level in build_pyramid(network, image, options)]
    assert sizes == [(round(size[0] * f), round(size[1] * f)) for f in options.scales]


def test_work_ends_when_enough_are_kept(network, image, monkeypatch):
    monkeypatch.setattr(proposals, "BLOCK", 8)
    assembled = []
    assemble = network.mask_logits
    monkeypatch.setattr(
        network, "mask_logits", lambda maps, w: assembled.append(len(w)) or assemble(maps, w)
    )
    with torch.no_grad():
        propose(network, image, SIZE, replace(OPTIONS, topk=3))
    assert sum(assembled) <= 24


def test_preselection_takes_the_best_of_each_scale(network, image):
    with torch.no_grad():
        levels = build_pyramid(network, image, OPTIONS)
    ranked = rank_windows(levels, pre_top=4)
    assert (ranked.objectness.diff() <= 0).all()
    for index, level in enumerate(levels):
        here = ranked.level == index
        best = level.maps.objectness.flatten().sort(descending=True).values[:4]
        assert torch.equal(ranked.objectness[here], best)
        _, rows, columns = ranked.windows[here].unbind(1)
        assert torch.equal(level.maps.objectness[0, 0, rows, columns], best)
    cells = sum(level.maps.objectness.numel() for level in levels)
    assert len(rank_windows(levels, pre_top=0).objectness) == cells


def test_every_cell_meets_the_image(network, image):
    with torch.no_grad():
        levels = build_pyramid(network, image, OPTIONS)
    assert [level.size for level in levels] == [(12, 16), (18, 25), (33, 45)]
    grids = [tuple(level.maps.objectness.shape[2:]) for level in levels]
    assert grids == [(3, 4), (5, 7), (9, 12)]


def test_pyramid_sizes():
    assert pyramid_size(torch.Size([60, 80]), 30, 2000) == (30, 40)
    assert pyramid_size(torch.Size([10, 80]), 30, 100) == (12, 100)
    assert pyramid_size(torch.Size([1, 500]), 1, 20) == (1, 20)


def test_tight_boxes_by_hand():
    logits = torch.full((4, 4, 4), -1.0)
    logits[0, 1, 2] = logits[0, 2, 3] = 1.0  # the second one is right of the image
    logits[1, 0, 0] = logits[1, 3, 3] = 1.0  # of a window half outside: its first corner is cut
    logits[2, 0, 0] = 1.0  # outside altogether
    windows = torch.tensor([[2.0, 1, 10, 9], [-4, -4, 4, 4], [-4, -4, 4, 4], [2, 1, 10, 9]])
    boxes = tight_boxes(logits, windows, (8, 8), 0.5)
    expected = [[6.0, 3, 8, 5], [2, 2, 4, 4], [0, 0, 0, 0]]
    assert boxes[:3].tolist() == expected
    assert boxes[3, 0] >= boxes[3, 2]


def test_nothing_above_the_threshold_gives_no_proposal(network, image):
    with torch.no_grad():
        network.mask_branch.score_maps.weight.zero_()
        network.mask_branch.score_maps.bias.fill_(-5.0)
        found, _ = propose(network, image, SIZE, OPTIONS)
    assert len(found) == 0
    assert found.mask_logits.shape == (0, 7, 7)


def test_the_deepmask_head_goes_the_same_way(image):
    torch.manual_seed(0)
    backbone = nn.Conv2d(3, 5, STRIDE, stride=STRIDE)
    options = HeadOptions("deepmask", window=6, branch_width=4, mask_side=12, score_width=8)
    network = InstanceFCN(backbone, 5, STRIDE, options).eval()
    nn.init.normal_(network.mask_branch.mask.weight, std=1.0)
    nn.init.normal_(network.mask_branch.hidden.weight, std=1.0)
    with torch.no_grad():
        found, _ = propose(network, image.float(), SIZE, OPTIONS)
    assert found.mask_logits.shape[1:] == (12, 12)
    assert len(found) > 3
    overlaps = nms.box_iou(found.boxes, found.boxes).fill_diagonal_(0)
    assert (overlaps <= OPTIONS.nms_thresh).all()
    assert (found.boxes >= 0).all()
    assert (found.boxes <= torch.tensor([41.0, 30, 41, 30])).all()


def test_maps_are_brought_into_order_once(network, image):
    network = network.to(memory_format=torch.channels_last)
    channels_last = image[None].to(memory_format=torch.channels_last)[0]
    with torch.no_grad():
        levels = build_pyramid(network, channels_last, OPTIONS)
    assert all(level.maps.mask_maps.is_contiguous() for level in levels)
