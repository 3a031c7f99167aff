"""Masks at the size of a panel, and the colours that tie ground truth to predictions."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recseg_d2.visualization.instances import (
    count_of,
    count_text,
    each_mask,
    fit_masks,
    matching_colors,
    partners,
)
from recseg_d2.visualization.palette import instance_colors

SIDE = 24


def columns_mask(*spans: tuple[int, int]) -> np.ndarray:
    masks = np.zeros((len(spans), SIDE, SIDE), dtype=bool)
    for mask, (start, end) in zip(masks, spans, strict=True):
        mask[:, start:end] = True
    return masks


def test_label_maps_become_masks_in_label_order():
    labels = np.array([[0, 7], [3, 7]], dtype=np.int32)
    masks = np.stack(list(each_mask(labels, (2, 2))))
    assert masks.tolist() == [[[False, False], [True, False]], [[False, True], [False, True]]]
    assert count_of(labels) == 2
    nothing = np.zeros((2, 2), np.uint16)
    assert (list(each_mask(nothing, (2, 2))), count_of(nothing)) == ([], 0)
    with pytest.raises(ValueError, match="2 x 3"):
        list(each_mask(labels, (2, 3)))


def test_masks_may_be_a_list_of_tensors():
    masks = [torch.tensor([[0, 1]]), torch.tensor([[1, 1]])]
    assert np.stack(list(each_mask(masks, (1, 2)))).tolist() == [[[False, True]], [[True, True]]]
    assert count_of(masks) == 2
    with pytest.raises(ValueError, match=r"shape \(1, 2\) does not fit an image of 2 x 2"):
        list(each_mask(masks, (2, 2)))


def test_count_text():
    assert [count_text(n) for n in (0, 1, 2)] == ["0 objects", "1 object", "2 objects"]


def test_masks_keep_half_covered_pixels_when_they_shrink():
    mask = np.zeros((1, 4, 4), dtype=bool)
    mask[0, :2, :2] = True  # all of the first pixel
    mask[0, 0, 2:] = True  # half of the second
    mask[0, 3, 0] = True  # a quarter of the third
    assert fit_masks(mask, mask.shape[1:], (2, 2))[0].tolist() == [[True, True], [False, False]]


def test_one_pixel_survives_shrinking():
    mask = np.zeros((1, 1000, 1000), dtype=bool)
    mask[0, 503, 711] = True
    small = fit_masks(mask, mask.shape[1:], (10, 10))[0]
    assert np.argwhere(small).tolist() == [[5, 7]]


@pytest.mark.parametrize("size", [(3, 4), (8, 9)])
def test_no_masks_and_empty_masks_resize(size):
    assert fit_masks(np.zeros((0, 6, 7), bool), (6, 7), size).shape == (0, *size)
    assert not fit_masks(np.zeros((2, 6, 7), bool), (6, 7), size).any()


def test_true_objects_take_the_colour_of_their_best_match():
    truth = columns_mask((0, 4), (8, 12), (16, 20))
    found = columns_mask((17, 20), (1, 4))
    colors, palette = matching_colors(truth, found), instance_colors(3)
    assert (colors == palette[[1, 2, 0]]).all()  # the middle one was missed


def test_a_prediction_gives_its_colour_once():
    truth = columns_mask((0, 4), (4, 6))
    colors = matching_colors(truth, columns_mask((0, 6)))
    assert (colors == instance_colors(2)).all()  # merged: the larger one is the match


def test_matching_without_any_on_either_side():
    none = np.zeros((0, SIDE, SIDE), dtype=bool)
    assert matching_colors(none, columns_mask((0, 4))).shape == (0, 3)
    assert (matching_colors(columns_mask((0, 4)), none) == instance_colors(1)).all()
    assert matching_colors(none, none).shape == (0, 3)


def test_partners_are_taken_from_the_highest_overlap_downwards_each_once():
    iou = np.array([[0.9, 0.3], [0.8, 0.2], [0.0, 0.1]])
    assert partners(iou).tolist() == [0, 1, -1]
    assert partners(np.zeros((2, 0))).tolist() == [-1, -1]
    assert partners(np.zeros((0, 2))).tolist() == []
    assert iou.max() == 0.9
