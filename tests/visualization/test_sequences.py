"""The papers' figure: how many panels, where, in which order."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.visualization import draw_masks, draw_sequence, instance_colors
from recseg_d2.visualization.panels import GAP, caption_height

SIDE = 32
LINE = caption_height()


def panel(figure, row: int, column: int) -> np.ndarray:
    """The (32, 32, 3) panel at that place of a figure whose rows all have captions."""
    top, left = GAP + row * (SIDE + LINE + GAP) + LINE, GAP + column * (SIDE + GAP)
    return np.asarray(figure)[top : top + SIDE, left : left + SIDE]


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)


def stripes(count: int) -> np.ndarray:
    masks = np.zeros((count, SIDE, SIDE), dtype=bool)
    for k in range(count):
        masks[k, 2 * k : 2 * k + 2, 4:-4] = True
    return masks


def test_each_step_alone_and_all_so_far(image):
    masks, colors = stripes(3), instance_colors(3)
    figure = draw_sequence(image, masks, [0.9, 0.8, 0.7], ground_truth=masks, side=SIDE)
    assert (panel(figure, 0, 0) == image).all()
    assert (panel(figure, 1, 0) == draw_masks(image, masks)).all()
    for k in range(3):
        alone = draw_masks(image, masks[k : k + 1], colors[k : k + 1])
        assert (panel(figure, 0, k + 1) == alone).all()
        assert (panel(figure, 1, k + 1) == draw_masks(image, masks[: k + 1])).all()


def test_panels_and_colours_follow_the_order_of_discovery(image):
    masks = stripes(3)
    shuffled = [2, 0, 1]
    steps, scores = np.array([4, 0, 1]), np.array([0.7, 0.9, 0.8])
    figure = draw_sequence(image, masks[shuffled], scores, steps, side=SIDE)
    expected = draw_sequence(image, masks, [0.9, 0.8, 0.7], [0, 1, 4], side=SIDE)
    assert np.array_equal(np.asarray(figure), np.asarray(expected))


def test_many_steps_wrap_into_bands(image):
    figure = draw_sequence(image, stripes(7), np.ones(7), side=SIDE, columns=4)
    assert figure.size == (GAP + 4 * (SIDE + GAP), GAP + 6 * (SIDE + LINE + GAP))
    last = draw_masks(image, stripes(7))
    assert (panel(figure, 5, 1) == last).all()
    assert (panel(figure, 2, 0) == 255).all()  # under the image's column
    assert (panel(figure, 4, 2) == 255).all()  # after the last step


def test_nothing_found_still_shows_the_input(image):
    figure = draw_sequence(image, np.zeros((0, SIDE, SIDE), bool), [], [], side=SIDE)
    assert (panel(figure, 0, 0) == image).all()
    assert len(np.unique(panel(figure, 0, 1).reshape(-1, 3), axis=0)) > 1  # a field and a text


def test_nothing_found_beside_ground_truth(image):
    labels = np.zeros((SIDE, SIDE), np.int32)
    labels[3, 3] = 1
    none = np.zeros((0, SIDE, SIDE), bool)
    figure = draw_sequence(image, none, [], ground_truth=labels, side=SIDE)
    changed = (panel(figure, 1, 0) != image).any(axis=-1)
    assert np.argwhere(changed).tolist() == [[3, 3]]


@pytest.mark.parametrize("shape", [(1, 1), (3, 400, 1), (500, 20)])
def test_odd_images_are_drawn_at_panel_size(shape):
    image = np.full(shape, 9, dtype=np.uint8)
    masks = np.ones((1, *shape[:2]), dtype=bool)
    figure = draw_sequence(image, masks, [1.0], ground_truth=masks, side=SIDE)
    assert figure.size[0] <= GAP + 2 * (SIDE + GAP)


def test_misfits_are_refused(image):
    with pytest.raises(ValueError, match="2 masks, 1 scores"):
        draw_sequence(image, stripes(2), [0.5])
    with pytest.raises(ValueError, match="2 or more"):
        draw_sequence(image, stripes(1), [0.5], columns=1)
    with pytest.raises(ValueError, match="32 x 32"):
        draw_sequence(image, np.zeros((1, 4, 4), bool), [0.5])
