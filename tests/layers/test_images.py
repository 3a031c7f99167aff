from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recseg_d2.layers.images import (
    resize_image,
    resize_labels,
    scale_array,
    scale_labels,
    scaled_size,
)


def blobs() -> np.ndarray:
    rng = np.random.default_rng(0)
    labels = np.zeros((40, 56), np.int32)
    for number in range(1, 9):
        y, x = rng.integers(0, 30), rng.integers(0, 46)
        labels[y : y + 11, x : x + 9] = number
    return labels


@pytest.mark.parametrize("size", [(80, 112), (61, 77), (300, 400)])
def test_labels_grow_as_votes_of_masks_resized_one_by_one(size):
    labels = blobs()
    masks = torch.from_numpy(labels[None] == np.arange(9)[:, None, None]).float()
    votes = F.interpolate(masks[None], size=size, mode="bilinear", align_corners=False)[0]
    found = resize_labels(labels, size)
    assert found.dtype == labels.dtype
    top = votes.sort(0, descending=True).values
    clear = (top[0] - top[1] > 1e-4).numpy()
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(found[clear], votes.argmax(0).numpy()[clear])


def test_labels_shrink_without_gaps_between_objects():
    labels = np.repeat(np.repeat([[1, 2], [3, 0]], 30, 0), 40, 1)
    small = resize_labels(labels, (20, 20))
    np.testing.assert_array_equal(small, np.repeat(np.repeat([[1, 2], [3, 0]], 10, 0), 10, 1))
    assert resize_labels(labels, labels.shape) is labels


def test_labels_without_objects_and_single_pixels():
    assert not resize_labels(np.zeros((5, 5), int), (9, 3)).any()
    one = np.zeros((3, 3), int)
    one[0, 2] = 7
    large = resize_labels(one, (9, 9))
    assert large[0, 8] == 7
    assert set(np.unique(large)) == {0, 7}
    assert 4 <= (large == 7).sum() <= 16


def test_arrays_are_scaled_as_tensors_and_keep_their_type():
    image = np.random.default_rng(0).integers(0, 256, (11, 8, 2), np.uint8)
    found = scale_array(image, 0.5)
    assert found.shape == (6, 4, 2)  # Python rounds halves to even: 5.5 becomes 6
    expected = resize_image(torch.from_numpy(image.transpose(2, 0, 1)).float(), (6, 4))
    np.testing.assert_array_equal(found, expected.round().numpy().transpose(1, 2, 0))
    assert scale_array(image.astype(np.float32), 2.0).dtype == np.float32
    assert scale_array(image, 1.0) is image


def test_label_planes_take_the_value_at_their_centres():
    planes = np.arange(12, dtype=np.uint8).reshape(1, 3, 4)
    np.testing.assert_array_equal(
        scale_labels(planes, 2.0), np.repeat(np.repeat(planes, 2, 1), 2, 2)
    )
    np.testing.assert_array_equal(scale_labels(planes, 0.5)[0], [[1, 3], [9, 11]])
    assert scale_labels(np.zeros((0, 4, 4), np.uint8), 0.5).shape == (0, 2, 2)


def test_sizes_are_one_at_least():
    assert scaled_size((1, 100), 0.25) == (1, 25)
