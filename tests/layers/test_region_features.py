from __future__ import annotations

import numpy as np
import pytest
import torch

from recseg_d2.layers.region_features import region_features, region_masks


def bilinear(feature: np.ndarray, y: float, x: float) -> float:
    """A map (h, w) at a point in cells, centres at i + 0.5; beyond the border it goes on."""
    y = min(max(y - 0.5, 0), feature.shape[0] - 1)
    x = min(max(x - 0.5, 0), feature.shape[1] - 1)
    i, j = int(y), int(x)
    k, m = min(i + 1, feature.shape[0] - 1), min(j + 1, feature.shape[1] - 1)
    top = feature[i, j] * (1 - (x - j)) + feature[i, m] * (x - j)
    low = feature[k, j] * (1 - (x - j)) + feature[k, m] * (x - j)
    return top * (1 - (y - i)) + low * (y - i)


def literal(features, boxes, image, stride, side, samples):
    result = np.zeros((len(boxes), features.shape[1], side, side))
    for r, (x1, y1, x2, y2) in enumerate(boxes):
        for c in range(features.shape[1]):
            for i in range(side):
                for j in range(side):
                    total = 0.0
                    for a in range(samples):
                        for b in range(samples):
                            y = y1 + (i + (a + 0.5) / samples) / side * (y2 - y1)
                            x = x1 + (j + (b + 0.5) / samples) / side * (x2 - x1)
                            total += bilinear(features[image[r], c], y / stride, x / stride)
                    result[r, c, i, j] = total / samples**2
    return result


@pytest.mark.parametrize(("side", "samples", "stride"), [(3, 2, 4), (2, 1, 8), (1, 3, 1)])
def test_features_against_literal_loops(side, samples, stride):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(2, 3, 5, 7))
    low = rng.uniform(0, 3 * stride, (6, 2))
    boxes = np.concatenate([low, low + rng.uniform(0.5, 4 * stride, (6, 2))], axis=1)
    boxes[0] = 0, 0, 7 * stride, 5 * stride  # the whole map
    image = np.array([0, 1, 1, 0, 1, 0])
    found = region_features(
        torch.from_numpy(features), torch.from_numpy(boxes), torch.from_numpy(image), stride, side,
        samples,
    )  # fmt: skip
    expected = literal(features, boxes, image, stride, side, samples)
    np.testing.assert_allclose(found, expected, atol=1e-9)


def test_a_box_of_whole_cells_copies_them():
    features = torch.arange(30.0).view(1, 1, 5, 6)
    box = torch.tensor([[4.0, 8, 12, 16]])  # cells 1 to 3 of x and 2 to 4 of y, at stride 4
    found = region_features(features, box, torch.tensor([0]), stride=4, side=2, samples=1)
    torch.testing.assert_close(found[0, 0], features[0, 0, 2:4, 1:3])


def test_gradients_reach_the_features():
    features = torch.randn(2, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[1.0, 2, 9, 12], [0, 0, 16, 16], [3, 3, 4, 5]], dtype=torch.float64)
    image = torch.tensor([1, 0, 1])
    assert torch.autograd.gradcheck(
        lambda f: region_features(f, boxes, image, 4, 2, 2), (features,)
    )


def test_no_boxes():
    found = region_features(
        torch.zeros(2, 3, 4, 4), torch.zeros(0, 4), torch.zeros(0, dtype=torch.int64), 4, 7, 2
    )
    assert found.shape == (0, 3, 7, 7)
    assert region_masks(torch.zeros(0, 8, 8, dtype=torch.bool), torch.zeros(0, 4), 7).shape == (
        0, 7, 7,
    )  # fmt: skip


def test_masks_are_shares_of_cells_by_hand():
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[0, 2:4, 2:6] = True  # the upper half of the box, and
    mask[0, 4, 2] = True  # one pixel of its lower left quarter
    box = torch.tensor([[2.0, 2, 6, 6]])
    found = region_masks(mask, box, side=2, samples=2)
    torch.testing.assert_close(found[0], torch.tensor([[1.0, 1.0], [0.25, 0.0]]))


def test_masks_of_tiny_boxes_are_full():
    masks = torch.zeros(2, 5, 5, dtype=torch.bool)
    masks[0, 4, 4] = masks[1, 0, 2] = True
    boxes = torch.tensor([[4.0, 4, 5, 5], [2, 0, 3, 1]])
    assert (region_masks(masks, boxes, side=14) == 1).all()


def test_masks_do_not_depend_on_their_resolution():
    """A mask twice as large with a box twice as large gives the same cells."""
    masks = torch.rand(3, 6, 9) > 0.5
    boxes = torch.tensor([[0.0, 0, 9, 6], [1, 1, 5, 4], [2, 3, 8, 6]])
    larger = masks.repeat_interleave(2, dim=1).repeat_interleave(2, dim=2)
    torch.testing.assert_close(region_masks(masks, boxes, 5), region_masks(larger, 2 * boxes, 5))


def test_under_automatic_mixed_precision():
    features = torch.randn(2, 3, 4, 4, dtype=torch.bfloat16)
    boxes, image = torch.tensor([[0.0, 0, 9, 9], [4, 4, 16, 16]]), torch.tensor([1, 0])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = region_features(features, boxes, image, 4, 2, 2)
    expected = region_features(features.float(), boxes, image, 4, 2, 2)
    torch.testing.assert_close(found.float(), expected, atol=0.05, rtol=0.05)
