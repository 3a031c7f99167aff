from __future__ import annotations

import numpy as np

from recseg_d2.data.augmentations.color import ColorTransform, RandomColor


def test_colour_by_hand_and_masks_untouched():
    transform = ColorTransform(np.diag([2.0, 1.0, 0.5]), 10)
    image = np.array([[[100, 100, 100], [200, 0, 255]]], np.uint8)
    np.testing.assert_array_equal(transform.apply_image(image), [[[210, 110, 60], [255, 10, 138]]])
    np.testing.assert_array_equal(transform.apply_segmentation(image[..., 0]), image[..., 0])
    np.testing.assert_array_equal(transform.apply_coords(np.ones((1, 2))), np.ones((1, 2)))


def test_colour_jitter_is_mild_and_varies():
    np.random.seed(0)  # noqa: NPY002
    grey = np.full((2, 2, 3), 128, np.uint8)
    values = [RandomColor().get_transform(grey).apply_image(grey)[0, 0] for _ in range(50)]
    assert np.ptp(values) > 20
    assert np.abs(np.array(values, int) - 128).max() < 128 * 0.35
