"""Masks over images, pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recseg_d2.visualization import draw_masks, draw_overlay, instance_colors
from recseg_d2.visualization.overlays import (
    CONTOUR_WHITE,
    FILL_SHARE,
    SMALLEST_OVERLAY,
)

GREY = 100


def grey(height: int = 8, width: int = 8) -> np.ndarray:
    return np.full((height, width, 3), GREY, dtype=np.uint8)


def square() -> np.ndarray:
    mask = np.zeros((1, 8, 8), dtype=bool)
    mask[0, 2:6, 2:6] = True
    return mask


def test_fill_contour_and_outside():
    color = instance_colors(1)[0].astype(float)
    drawn = draw_masks(grey(), square())
    fill = np.round(GREY * (1 - FILL_SHARE) + color * FILL_SHARE)
    line = np.round(color * (1 - CONTOUR_WHITE) + 255 * CONTOUR_WHITE)
    assert (drawn[3:5, 3:5] == fill).all()
    ring = square()[0].copy()
    ring[3:5, 3:5] = False
    assert (drawn[ring] == line).all()
    assert (drawn[~square()[0]] == GREY).all()


def test_the_image_is_not_changed():
    image = grey()
    draw_masks(image, square())
    assert (image == GREY).all()


def test_nothing_predicted_is_the_image_itself():
    assert (draw_masks(grey(), np.zeros((0, 8, 8), bool)) == GREY).all()
    assert (draw_masks(grey(), np.zeros((2, 8, 8), bool)) == GREY).all()


def test_one_pixel_is_all_contour():
    mask = np.zeros((1, 8, 8), dtype=bool)
    mask[0, 4, 5] = True
    changed = (draw_masks(grey(), mask) != GREY).any(axis=-1)
    assert np.argwhere(changed).tolist() == [[4, 5]]


def test_no_contour_along_the_image_border():
    color = instance_colors(1)[0]
    drawn = draw_masks(grey(), np.ones((1, 8, 8), bool))
    assert (drawn == np.round(GREY * (1 - FILL_SHARE) + color * FILL_SHARE)).all()


def test_thick_contour_equals_erosion_by_scipy():
    ndimage = pytest.importorskip("scipy.ndimage")
    from recseg_d2.visualization.overlays import _contour

    mask = np.random.default_rng(0).random((40, 50)) > 0.1
    inner = ndimage.binary_erosion(mask, iterations=3, border_value=1)
    assert (_contour(mask, 3) == (mask & ~inner)).all()


def test_later_masks_lie_over_earlier_ones():
    masks = np.zeros((2, 8, 8), dtype=bool)
    masks[0, 1:7, 1:7] = masks[1, 2:7, 2:7] = True
    both, second = draw_masks(grey(), masks), draw_masks(grey(), masks[1:], instance_colors(2)[1:])
    assert (both[2, 2:7] == second[2, 2:7]).all()  # the second one's contour


def test_grey_and_rgba_images():
    for image in (grey()[..., 0], grey()[..., :1], np.dstack([grey(), grey()[..., :1]])):
        assert (draw_masks(image, square()) == draw_masks(grey(), square())).all()


def test_wrong_sizes_are_refused_by_size():
    with pytest.raises(ValueError, match="8 x 8"):
        draw_masks(grey(), np.zeros((1, 4, 4), bool))
    with pytest.raises(ValueError, match="0 colours for 1"):
        draw_masks(grey(), square(), np.zeros((0, 3)))


def test_a_label_map_and_masks_one_at_a_time_are_drawn_alike():
    labels = np.zeros((8, 8), int)
    labels[1:4, 1:4], labels[4:7, 2:8] = 9, 4
    masks = np.stack([labels == 4, labels == 9])
    expected = draw_masks(grey(), masks)
    assert (draw_masks(grey(), labels) == expected).all()
    assert (draw_masks(grey(), [torch.from_numpy(mask) for mask in masks]) == expected).all()
    big = np.zeros((300, 500), np.uint8)
    for side in (None, 100):
        drawn = draw_overlay(big, np.pad(labels, ((0, 292), (0, 492))), side)
        assert (
            np.asarray(drawn)
            == np.asarray(
                draw_overlay(big, [np.pad(mask, ((0, 292), (0, 492))) for mask in masks], side)
            )
        ).all()


def test_overlay_sizes():
    big = np.zeros((300, 500), np.uint8)
    assert draw_overlay(big, np.zeros((0, 300, 500), bool)).size == (500, 300)
    assert draw_overlay(big, np.zeros((300, 500), int), side=100).size == (100, 60)
    assert draw_overlay(grey(), square()).size == (SMALLEST_OVERLAY, SMALLEST_OVERLAY)
    assert draw_overlay(grey(1, 1), np.ones((1, 1, 1), bool)).size == (SMALLEST_OVERLAY,) * 2


def test_the_count_is_stamped_into_the_corner_only():
    plain = np.asarray(draw_overlay(grey(), square(), show_count=False))
    stamped = np.asarray(draw_overlay(grey(), square()))
    changed = np.argwhere((plain != stamped).any(axis=-1))
    assert len(changed) > 0
    assert changed.max(axis=0)[0] < 30
