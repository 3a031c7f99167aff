from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import ndimage

from recseg_d2.config.options import AffineOptions
from recseg_d2.data.augmentations.geometry import (
    AffineTransform,
    RandomAffine,
    TransposeTransform,
)

SHAPE = (40, 56)


@pytest.fixture
def transform() -> AffineTransform:
    np.random.seed(3)  # noqa: NPY002
    return RandomAffine(AffineOptions(20, 0.1, 5, (0.7, 1.4))).get_transform(np.zeros(SHAPE))


def test_image_is_warped_bilinearly_with_its_mean_outside(transform):
    image = ndimage.gaussian_filter(np.random.default_rng(0).uniform(0, 255, SHAPE), 2)
    moved = transform.apply_image(image.astype(np.float32))
    back = np.linalg.inv(transform.linear)  # scipy counts (row, column) from the pixels' centres
    start = back @ (np.array([0.5, 0.5]) - transform.offset) - 0.5
    expected = ndimage.affine_transform(
        image, back[::-1, ::-1], start[::-1], order=1, mode="nearest"
    )
    assert moved.dtype == np.float32
    inside = transform.apply_segmentation(np.ones(SHAPE, np.uint8)) == 1
    assert np.abs(moved - expected)[inside].max() < 0.05
    np.testing.assert_allclose(moved[~inside], image.mean(), rtol=1e-5)
    assert 0.02 < (~inside).mean() < 0.5


def test_segmentation_takes_the_pixel_below_each_moved_centre_and_0_outside(transform):
    labels = np.full(SHAPE, 3, np.uint8)
    labels[10:25, 12:40] = 9
    expected = np.zeros(SHAPE, np.uint8)
    back = transform.inverse()
    for i in range(SHAPE[0]):
        for j in range(SHAPE[1]):
            x, y = back.apply_coords(np.array([[j + 0.5, i + 0.5]]))[0]
            if 0 <= x < SHAPE[1] and 0 <= y < SHAPE[0]:
                expected[i, j] = labels[int(y), int(x)]
    moved = transform.apply_segmentation(labels)
    assert set(np.unique(moved)) == {0, 3, 9}
    assert (moved != expected).sum() <= 2  # PIL's fixed-point arithmetic, at pixel borders


def test_colour_image_is_warped_channel_by_channel(transform):
    image = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    moved = transform.apply_image(image)
    assert moved.dtype == np.uint8
    for c in range(3):
        np.testing.assert_array_equal(moved[..., c], transform.apply_image(image[..., c]))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.uint16, np.int32, np.int64])
def test_segmentations_keep_their_type(transform, dtype):
    labels = (np.random.default_rng(0).integers(0, 2, SHAPE)).astype(dtype)
    moved = transform.apply_segmentation(labels)
    assert moved.dtype == dtype
    expected = transform.apply_segmentation(labels.astype(np.uint8))
    np.testing.assert_array_equal(moved, expected.astype(dtype))


def test_large_labels_survive(transform):
    labels = np.full(SHAPE, 60_001, np.uint16)
    assert transform.apply_segmentation(labels).max() == 60_001


def test_a_label_map_moves_as_each_of_its_masks(transform):
    labels = np.random.default_rng(0).integers(0, 6, SHAPE).astype(np.uint8)
    moved = transform.apply_segmentation(labels)
    for value in range(1, 6):
        alone = transform.apply_segmentation((labels == value).astype(np.uint8))
        np.testing.assert_array_equal(moved == value, alone == 1)


def test_points_move_as_the_image_does_and_back(transform):
    image = np.zeros(SHAPE, np.float32)
    image[18:23, 30:35] = 1  # its middle is the point (32.5, 20.5)
    moved = transform.apply_image(image)
    moved[moved < 0.05] = 0  # the fill outside the frame
    y, x = np.indices(SHAPE) + 0.5
    centre = np.array([(x * moved).sum(), (y * moved).sum()]) / moved.sum()
    np.testing.assert_allclose(
        transform.apply_coords(np.array([[32.5, 20.5]]))[0], centre, atol=0.1
    )
    points = np.array([[0.0, 0.0], [7.5, 31.0]])
    back = transform.inverse().apply_coords(transform.apply_coords(points))
    np.testing.assert_allclose(back, points, atol=1e-9)


def test_no_jitter_is_the_identity():
    transform = RandomAffine(AffineOptions(0, 0, 0, (1, 1))).get_transform(np.zeros(SHAPE))
    image = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
    np.testing.assert_array_equal(transform.apply_image(image), image)
    np.testing.assert_array_equal(transform.apply_segmentation(image[..., 0]), image[..., 0])


def test_jitter_stays_in_its_ranges():
    np.random.seed(0)  # noqa: NPY002
    augmentation = RandomAffine(AffineOptions(10, 0.1, 0, (1.0, 1.43)))
    centre = np.array([SHAPE[1], SHAPE[0]]) / 2
    zooms, angles = [], []
    for _ in range(200):
        transform = augmentation.get_transform(np.zeros(SHAPE))
        zooms.append(np.linalg.norm(transform.linear, axis=0))
        angles.append(math.degrees(math.atan2(transform.linear[1, 0], transform.linear[0, 0])))
        shift = transform.apply_coords(centre[None])[0] - centre
        assert (np.abs(shift) <= 0.1 * 2 * centre + 1e-9).all()
    assert 1.0 <= np.min(zooms) < 1.05 < 1.38 < np.max(zooms) <= 1.43
    assert np.abs(np.subtract(*np.transpose(zooms))).max() > 0.2  # one draw for each axis
    assert -10 <= min(angles) < -8 < 8 < max(angles) <= 10


def test_transpose_swaps_axes_and_points():
    transform = TransposeTransform()
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    np.testing.assert_array_equal(transform.apply_image(image), image.transpose(1, 0, 2))
    np.testing.assert_array_equal(transform.apply_segmentation(image[..., 0]), image[..., 0].T)
    np.testing.assert_array_equal(transform.apply_coords(np.array([[1, 2]])), [[2, 1]])
    np.testing.assert_array_equal(
        transform.inverse().apply_image(transform.apply_image(image)), image
    )
