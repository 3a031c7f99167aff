import pytest
import torch
from reference import instance_fcn_literal as literal
from torch import nn

from recseg_d2.errors import OptionError
from recseg_d2.layers.assembling import OUTSIDE_LOGIT
from recseg_d2.models.instance_fcn.branches import (
    DeepMaskBranch,
    DeepMaskObjectnessBranch,
)
from recseg_d2.models.instance_fcn.geometry import dense_windows
from recseg_d2.models.instance_fcn.network import InstanceFCN
from recseg_d2.models.instance_fcn.options import HeadOptions

STRIDE, WIDTH = 4, 6


def network(**options):
    torch.manual_seed(0)
    backbone = nn.Conv2d(3, WIDTH, STRIDE, stride=STRIDE)
    return InstanceFCN(backbone, WIDTH, STRIDE, HeadOptions(branch_width=8, **options))


def test_the_paper_has_a_tenth_of_a_million_parameters_in_its_last_mask_layer():
    """512 * 3 * 3 * 25; DeepMask's two fully connected layers have 53 million."""
    model = InstanceFCN(nn.Identity(), 512, 8, HeadOptions())
    assert model.mask_branch.score_maps.weight.numel() == 512 * 3 * 3 * 25
    assert (model.stride, model.window, model.mask_side) == (8, 21, 21)
    assert model.geometry.side == 168
    with torch.device("meta"):
        baseline = DeepMaskBranch(512, 512, 14, 56)
    weights = baseline.hidden.weight.numel() + baseline.mask.weight.numel()
    assert weights == 512 * 14 * 14 * 512 + 512 * 56**2


def test_branches_start_from_the_papers_gaussian():
    model = InstanceFCN(nn.Identity(), 64, 8, HeadOptions())
    for layer in (*model.mask_branch.children(), *model.score_branch.children()):
        assert layer.weight.std().item() == pytest.approx(0.01, rel=0.2)
        assert layer.bias.abs().max() == 0


@pytest.mark.parametrize(("parts", "cells"), [(1, 7), (3, 7), (5, 8)])
def test_masks_are_assembled_from_the_maps(parts, cells):
    model = network(parts=parts, window=cells)
    maps = model(torch.randn(2, 3, 24, 32))
    assert maps.mask_maps.shape == (2, parts * parts, 6, 8)
    assert maps.objectness.shape == (2, 1, 6, 8)
    windows = dense_windows(2, 6, 8, torch.device("cpu"))
    expected = literal.assemble(maps.mask_maps.detach(), windows, cells, OUTSIDE_LOGIT)
    assert torch.equal(model.mask_logits(maps, windows), expected)
    assert torch.equal(model.objectness(maps, windows), maps.objectness.flatten())


def test_deepmask_slides_what_a_window_alone_would_give():
    """Masks and scores of the windows of an image equal those of the cut-out features."""
    torch.manual_seed(0)
    cells, side, width = 6, 12, 5
    masks = DeepMaskBranch(WIDTH, width, cells, side).double()
    scores = DeepMaskObjectnessBranch(width, width, 7, cells).double()
    features = torch.randn(1, WIDTH, 9, 10, dtype=torch.float64)
    maps = masks(features)
    windows = dense_windows(1, 9, 10, torch.device("cpu"))
    logits, objectness = masks.mask_logits(maps, windows), scores(maps)
    assert objectness.shape == (1, 1, 9, 10)
    padded = nn.functional.pad(maps, (cells,) * 4)
    for r, (_, row, column) in enumerate(windows.tolist()):
        top, left = row - cells // 2 + cells, column - cells // 2 + cells
        crop = padded[:, :, top : top + cells, left : left + cells]
        alone = masks.mask(masks.hidden(crop.flatten(1))).view(side, side)
        torch.testing.assert_close(logits[r], alone)
        pooled = nn.functional.max_pool2d(crop, 2)
        hidden = (scores.hidden.weight * pooled).sum((1, 2, 3)) + scores.hidden.bias
        second = torch.relu(scores.second(torch.relu(hidden)[None, :, None, None]))
        torch.testing.assert_close(objectness[0, 0, row, column], scores.score(second)[0, 0, 0, 0])


def test_deepmask_has_the_same_interface():
    model = network(mask_head="deepmask", window=6, mask_side=12, score_width=9)
    maps = model(torch.randn(2, 3, 24, 32))
    windows = torch.tensor([[0, 0, 0], [1, 5, 7]])
    assert model.mask_logits(maps, windows).shape == (2, 12, 12)
    assert model.objectness(maps, windows).shape == (2,)
    assert (model.window, model.mask_side) == (6, 12)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_head": "deepmask", "window": 7, "mask_side": 14}, "window is 7; .* even number"),
        ({"mask_head": "deepmask", "window": 6, "mask_side": 14}, "mask_side is 14; .* 6 cells"),
        ({"parts": 8, "window": 7}, "parts is 8; expected 1 to 7"),
    ],
)
def test_options_that_cannot_work_are_refused(options, message):
    with pytest.raises(OptionError, match=message):
        HeadOptions(**options)


def test_mask_pixels_are_whole_pixels():
    with pytest.raises(OptionError, match=r"mask_side is 18; .* 6 cells of 4 pixels"):
        network(mask_head="deepmask", window=6, mask_side=18)
