from __future__ import annotations

import zlib

import numpy as np
import pytest

from recseg_d2.data.synthetic.rosettes import (
    MIN_VISIBLE_AREA,
    REFERENCE_SIZE,
    _place_leaves,
    draw_label_map,
    draw_rosette,
)

SEEDS = range(60)
LABELS_CRC, IMAGE_CRC = 1499994294, 1636209655  # of seed 7


@pytest.fixture(scope="module")
def label_maps():
    return [draw_label_map(seed) for seed in SEEDS]


def test_shapes_and_types():
    image, labels = draw_rosette(3, size=64)
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert labels.shape == (64, 64)
    assert labels.dtype == np.uint8


def test_a_seed_is_the_same_image_on_every_machine():
    image, labels = draw_rosette(7)
    assert zlib.crc32(labels.tobytes()) == LABELS_CRC
    assert zlib.crc32(image.tobytes()) == IMAGE_CRC


def test_global_random_state_plays_no_part_and_is_left_alone():
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first = draw_rosette(5)[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002
    np.random.seed(1)  # noqa: NPY002
    np.testing.assert_array_equal(draw_rosette(5)[0], first)


def test_seeds_differ():
    assert len({draw_label_map(seed).tobytes() for seed in SEEDS}) == len(SEEDS)


def test_label_map_alone_is_that_of_the_image():
    for seed in range(5):
        np.testing.assert_array_equal(draw_label_map(seed), draw_rosette(seed)[1])


def test_every_leaf_shows_and_labels_are_consecutive(label_maps):
    for labels in label_maps:
        areas = np.bincount(labels.ravel())[1:]
        assert 2 <= len(areas) <= 8
        assert areas.min() >= MIN_VISIBLE_AREA


def test_all_counts_occur(label_maps):
    counts = np.bincount([labels.max() for labels in label_maps], minlength=9)
    assert (counts[2:9] > 0).all()


def test_leaves_occlude_one_another():
    """Leaves drawn alone are larger than what shows of them in the whole."""
    hidden = 0
    for seed in range(20):
        below = draw_label_map(seed, leaves=(1, 1)) == 1  # the same first leaf, nothing above it
        shown = draw_label_map(seed, leaves=(8, 8)) == 1
        if (shown & ~below).any():
            continue  # another draw of the number changed the shape that follows
        hidden += (below & ~shown).sum() > 0
    assert hidden >= 5


def test_the_number_of_leaves_can_be_chosen():
    assert draw_label_map(1, leaves=(3, 3)).max() == 3
    assert draw_label_map(1, leaves=(0, 0)).max() == 0


def test_half_the_spread_hides_twice_as_much():
    def hidden_share(spread):
        shares = []
        for seed in SEEDS:
            placed, labels = _place_leaves(seed, REFERENCE_SIZE, (2, 8), spread)
            whole = sum(int(leaf.covered.sum()) for leaf in placed)
            shares.append(1 - np.count_nonzero(labels) / whole)
        return np.mean(shares)

    assert hidden_share(0.5) / hidden_share(1.0) == pytest.approx(2, abs=0.3)


def test_leaves_fan_out_over_the_spread():
    for seed in range(10):
        placed, _ = _place_leaves(seed, REFERENCE_SIZE, (8, 8), spread=0.25)
        towards = np.sum([[np.cos(leaf.angle), np.sin(leaf.angle)] for leaf in placed], axis=0)
        middle = np.arctan2(towards[1], towards[0])
        aside = [abs((leaf.angle - middle + np.pi) % (2 * np.pi) - np.pi) for leaf in placed]
        assert max(aside) <= np.pi / 2  # a quarter turn in all, wherever its middle is


def test_a_colour_threshold_does_not_find_the_foreground():
    """Moss is as green as leaves: the best threshold on green still leaves errors."""
    errors = []
    for seed in range(8):
        image, labels = draw_rosette(seed)
        rgb = image.astype(float)
        excess = (2 * rgb[..., 1] - rgb[..., 0] - rgb[..., 2]).ravel()
        truth = labels.ravel() > 0
        wrong = [
            (truth != (excess > threshold)).sum() for threshold in np.percentile(excess, range(100))
        ]
        errors.append(min(wrong) / truth.sum())
    assert np.mean(errors) > 0.05
