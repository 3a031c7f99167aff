"""Montages."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.visualization import MontageEntry, draw_masks, draw_montage, instance_colors
from recseg_d2.visualization.panels import GAP, caption_height

SIDE = 24
IMAGE = np.full((SIDE, SIDE, 3), 50, dtype=np.uint8)


def columns_mask(*spans: tuple[int, int]) -> np.ndarray:
    masks = np.zeros((len(spans), SIDE, SIDE), dtype=bool)
    for mask, (start, end) in zip(masks, spans, strict=True):
        mask[:, start:end] = True
    return masks


def test_panels_of_a_row():
    truth, found = columns_mask((0, 4), (8, 12)), columns_mask((8, 12), (0, 4))
    figure = np.asarray(draw_montage([MontageEntry(IMAGE, found, truth, "a")], side=SIDE))
    top = GAP + caption_height()
    left = [GAP + k * (SIDE + GAP) for k in range(3)]
    panels = [figure[top : top + SIDE, x : x + SIDE] for x in left]
    assert (panels[0] == IMAGE).all()
    assert (panels[1] == draw_masks(IMAGE, truth, instance_colors(2)[::-1])).all()
    assert (panels[2] == draw_masks(IMAGE, found)).all()


def test_rows_wrap_and_sizes_may_differ():
    wide = np.zeros((SIDE, 2 * SIDE), np.uint8)
    entries = [
        MontageEntry(IMAGE, columns_mask((0, 4)), columns_mask((0, 4))),
        MontageEntry(wide, np.zeros((0, SIDE, 2 * SIDE), bool), np.zeros((SIDE, 2 * SIDE), int)),
        MontageEntry(IMAGE, np.zeros((SIDE, SIDE), np.int32), np.zeros((SIDE, SIDE), np.uint8)),
    ]
    figure = draw_montage(entries, side=SIDE, per_row=2)
    line = SIDE + caption_height() + GAP
    assert figure.size == (GAP + 6 * (SIDE + GAP), GAP + 2 * line)


def test_without_ground_truth_there_are_two_columns():
    figure = draw_montage([MontageEntry(IMAGE, columns_mask((0, 4)))], side=SIDE)
    assert figure.size[0] == GAP + 2 * (SIDE + GAP)


def test_no_entry_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        draw_montage([])
