from __future__ import annotations

import zlib

import numpy as np
import pytest

from recseg_d2.data.synthetic.scenes import (
    MIN_VISIBLE_AREA,
    SHAPE_CLASSES,
    SIDES,
    draw_scene,
    draw_scene_labels,
)

SEEDS = range(80)
LABELS_CRC, IMAGE_CRC = 3507453894, 4246629324  # of seed 7


@pytest.fixture(scope="module")
def scenes():
    return [draw_scene_labels(seed) for seed in SEEDS]


def test_shapes_and_types():
    image, labels, classes = draw_scene(3, size=64)
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert labels.shape == (64, 64)
    assert labels.dtype == np.uint8
    assert len(classes) == labels.max()


def test_a_seed_is_the_same_image_on_every_machine():
    image, labels, classes = draw_scene(7)
    assert zlib.crc32(labels.tobytes()) == LABELS_CRC
    assert zlib.crc32(image.tobytes()) == IMAGE_CRC
    assert draw_scene(7)[2] == classes


def test_labels_alone_are_those_of_the_image():
    for seed in range(5):
        labels, classes = draw_scene_labels(seed)
        drawn = draw_scene(seed)
        np.testing.assert_array_equal(labels, drawn[1])
        assert classes == drawn[2]


def test_every_shape_shows_and_labels_are_consecutive(scenes):
    for labels, classes in scenes:
        areas = np.bincount(labels.ravel())[1:]
        assert 1 <= len(areas) == len(classes) <= 8
        assert areas.min() >= MIN_VISIBLE_AREA


def test_all_numbers_and_all_classes_occur(scenes):
    numbers = np.bincount([len(classes) for _, classes in scenes], minlength=9)
    assert (numbers[1:] > 0).all()
    occurring = np.bincount(
        [c for _, classes in scenes for c in classes], minlength=len(SHAPE_CLASSES)
    )
    assert len(occurring) == len(SHAPE_CLASSES)
    assert (occurring > 20).all()


def test_sizes_spread_over_the_octaves(scenes):
    """Log-uniform: about as many shapes under the geometric mean of the range as above it."""
    sides = []
    for labels, classes in scenes:
        for label in range(1, len(classes) + 1):
            y, x = np.nonzero(labels == label)
            sides.append(max(np.ptp(y), np.ptp(x)) + 1)
    assert max(sides) <= SIDES[1] + 2
    share = np.mean(np.array(sides) < np.sqrt(SIDES[0] * SIDES[1]))
    assert 0.4 < share < 0.75  # occlusion makes some smaller


def test_shapes_occlude_one_another(scenes):
    """In many scenes some shape touches another, which is drawn over it."""
    touching = 0
    for labels, _ in scenes:
        left, right = labels[:, :-1], labels[:, 1:]
        touching += ((left != right) & (left > 0) & (right > 0)).any()
    assert touching > len(scenes) / 3


def test_the_number_of_shapes_can_be_chosen():
    assert len(draw_scene_labels(1, objects=(3, 3))[1]) == 3
    image, labels, classes = draw_scene(1, objects=(0, 0))
    assert classes == []
    assert labels.max() == 0
    assert image.std() > 1  # the ground alone


def test_mean_colour_does_not_tell_the_class():
    """The nearest class mean in colour guesses hardly better than chance, one in six."""
    colours, classes = [], []
    for seed in range(60):
        image, labels, found = draw_scene(seed)
        colours += [image[labels == k + 1].mean(axis=0) for k in range(len(found))]
        classes += found
    colours, classes = np.array(colours), np.array(classes)
    half = len(classes) // 2
    means = np.stack([colours[:half][classes[:half] == c].mean(axis=0) for c in range(6)])
    guess = np.linalg.norm(colours[half:, None] - means, axis=2).argmin(axis=1)
    assert np.mean(guess == classes[half:]) < 0.32
