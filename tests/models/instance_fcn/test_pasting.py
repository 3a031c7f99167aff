"""Pasting against a literal loop, sub-pixel windows, the image's border, many sizes at once."""

from __future__ import annotations

import pytest
import torch
from reference.proposals_literal import paste_mask

from recseg_d2.models.instance_fcn import pasting
from recseg_d2.models.instance_fcn.pasting import paste_masks

SIZE = (19, 26)


def random_case(count: int, side: int, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Masks and windows at any place, over the border and larger than the image too."""
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(count, side, side, generator=generator, dtype=torch.float64)
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 40 - 12
    extent = torch.tensor([6.3, 11.0, 17.7, 60.0], dtype=torch.float64)[torch.arange(count) % 4]
    windows = torch.cat([corner, corner + extent[:, None]], dim=1)
    return logits, windows


@pytest.mark.parametrize("side", [2, 5, 14])
@pytest.mark.parametrize("threshold", [0.2, 0.5, 0.9])
def test_equals_the_literal_loop(side, threshold):
    logits, windows = random_case(12, side)
    masks = paste_masks(logits, windows, SIZE, threshold)
    assert masks.shape == (12, *SIZE)
    for mask, logit, window in zip(masks, logits.numpy(), windows.numpy(), strict=True):
        meets = window[0] < SIZE[1] and window[1] < SIZE[0] and (window[2:] > 0).all()
        expected = paste_mask(logit, window, SIZE, threshold) if meets else False
        assert (mask.numpy() == expected).all()


def test_small_parts_give_the_same(monkeypatch):
    logits, windows = random_case(24, 5)
    whole = paste_masks(logits, windows, SIZE, 0.4)
    monkeypatch.setattr(pasting, "PIXELS_AT_A_TIME", 1)
    assert torch.equal(paste_masks(logits, windows, SIZE, 0.4), whole)
    assert whole.any()


def test_a_window_of_whole_pixels_is_copied():
    logits = torch.where(torch.rand(1, 6, 6) > 0.5, 3.0, -3.0)
    masks = paste_masks(logits, torch.tensor([[4.0, 2.0, 10.0, 8.0]]), SIZE, 0.5)
    assert torch.equal(masks[0, 2:8, 4:10], logits[0] > 0)
    masks[0, 2:8, 4:10] = False
    assert not masks.any()


def test_a_shift_by_part_of_a_cell_moves_the_mask():
    """A half plane of cells 4 pixels wide: its edge follows the window pixel by pixel."""
    logits = torch.full((1, 5, 5), -4.0)
    logits[:, :, :2] = 4.0
    for shift in range(4):
        window = torch.tensor([[shift, 0.0, shift + 20.0, 20.0]])
        (mask,) = paste_masks(logits, window, (20, 26), 0.5)
        assert mask[7].nonzero()[:, 0].tolist() == list(range(shift, shift + 8))


def test_values_beyond_the_image_do_not_eat_the_border():
    """The network knows nothing outside and says so with a very low value."""
    logits = torch.full((1, 4, 4), -20.0)
    logits[:, 2:, 2:] = 1.0
    (mask,) = paste_masks(logits, torch.tensor([[-8.0, -8.0, 8.0, 8.0]]), (30, 30), 0.4)
    assert mask[:8, :8].all()
    (mask,) = paste_masks(
        logits.flip(1, 2), torch.tensor([[22.0, 22.0, 38.0, 38.0]]), (30, 30), 0.4
    )
    assert mask[22:, 22:].all()


def test_no_mask():
    masks = paste_masks(torch.zeros(0, 3, 3), torch.zeros(0, 4), SIZE, 0.5)
    assert masks.shape == (0, *SIZE)
    assert masks.dtype == torch.bool
