import numpy as np
import pytest

from recseg_d2.models.dense_attention.targets import (
    IGNORED,
    direction_bins,
    flatten_masks,
    object_targets,
)


def literal_depth(labels: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest pixel of another object (or beyond the frame)."""
    height, width = labels.shape
    result = np.zeros(labels.shape)
    for y in range(height):
        for x in range(width):
            if labels[y, x] <= 0:
                continue
            result[y, x] = min(
                np.hypot(v - y, u - x)
                for v in range(-1, height + 1)
                for u in range(-1, width + 1)
                if not (0 <= v < height and 0 <= u < width) or labels[v, u] != labels[y, x]
            )
    for number in np.unique(labels[labels > 0]):
        result[labels == number] /= result[labels == number].max()
    return result


@pytest.fixture
def labels():
    result = np.zeros((12, 14), int)
    result[1:6, 1:9] = 1
    result[4:11, 6:13] = 3  # number 2 has no pixel
    return result


def test_depth_equals_the_literal_one(labels):
    targets = object_targets(labels, np.array([5, 6, 7]), min_area=1)
    np.testing.assert_allclose(targets.depth, literal_depth(labels), atol=1e-6)


def test_objects_are_renumbered_with_their_boxes_centres_and_classes(labels):
    targets = object_targets(labels, np.array([5, 6, 7]), min_area=1)
    assert len(targets) == 2
    assert sorted(np.unique(targets.labels)) == [0, 1, 2]
    assert targets.classes.tolist() == [5, 7]
    assert targets.boxes.tolist() == [[1, 1, 9, 6], [6, 4, 13, 11]]
    assert targets.areas.tolist() == [5 * 8 - 2 * 3, 49]
    assert targets.centres[1].tolist() == [9.5, 7.5]


def test_small_objects_are_ignored_and_negative_labels_stay_so(labels):
    labels[0, 0], labels[11, 13] = 2, -1
    targets = object_targets(labels, np.array([5, 6, 7]), min_area=2)
    assert targets.labels[0, 0] == IGNORED
    assert targets.labels[11, 13] == IGNORED
    assert targets.depth[0, 0] == 0
    assert targets.classes.tolist() == [5, 7]


def test_an_image_without_objects():
    targets = object_targets(np.zeros((4, 6), int), np.zeros(0, int), min_area=1)
    assert len(targets) == 0
    assert targets.boxes.shape == (0, 4)
    assert (direction_bins(targets, 8, 2) == -1).all()


def test_overlapping_masks_are_flattened_with_the_smallest_in_front():
    masks = np.zeros((3, 6, 6), bool)
    masks[0, 2:4, 2:4] = True
    masks[1] = True
    masks[2, 1:5, 1:5] = True
    labels = flatten_masks(masks)
    assert labels[0, 0] == 2
    assert labels[1, 1] == 3
    assert labels[2, 2] == 1


def test_directions_point_to_the_centre():
    labels = np.zeros((16, 16), int)
    labels[2:14, 2:14] = 1
    bins = direction_bins(object_targets(labels, np.zeros(1, int), 1), 4, 2)
    # sectors of a quarter turn each, beginning at the direction to the left
    left, right, above, below = bins[4, 2], bins[4, 6], bins[2, 4], bins[6, 4]
    assert {left, right, above, below} <= {0, 1, 2, 3}
    assert bins[1, 1] == bins[2, 2]  # both see the centre to their lower right
    assert bins[1, 1] != bins[6, 6]
    assert (bins[0] == -1).all()


def test_direction_bins_equal_the_literal_ones():
    rng = np.random.default_rng(3)
    labels = np.kron(rng.integers(0, 3, (3, 3)), np.ones((8, 8), int))
    targets = object_targets(labels, np.zeros(2, int), 1)
    bins = direction_bins(targets, 8, 2)
    for row in range(12):
        for column in range(12):
            k = targets.labels[row * 2, column * 2]
            if k == 0:
                assert bins[row, column] == -1
                continue
            to = targets.centres[k - 1] - (column * 2 + 0.5, row * 2 + 0.5)
            turn = np.arctan2(to[1], to[0]) / (2 * np.pi) + 0.5
            assert bins[row, column] == min(int(turn * 8), 7)
