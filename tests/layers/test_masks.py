from __future__ import annotations

import numpy as np
import torch
from pycocotools import mask as coco_mask

from recseg_d2.layers import masks
from recseg_d2.layers.masks import mask_iou, resize_masks


def test_resize_takes_the_nearest_pixels_centre():
    small = torch.tensor([[[False, True], [False, False]]])
    big = resize_masks(small, (4, 4))[0]
    assert big.nonzero().tolist() == [[0, 2], [0, 3], [1, 2], [1, 3]]


def test_overlaps_equal_pycocotools(monkeypatch):
    rng = np.random.default_rng(0)
    ones, others = rng.random((6, 9, 7)) < 0.5, rng.random((4, 9, 7)) < 0.3
    rles = [[coco_mask.encode(np.asfortranarray(m, np.uint8)) for m in a] for a in (ones, others)]
    expected = coco_mask.iou(rles[0], rles[1], [0] * 4)
    for values in (2**24, 30):  # all pixels at once, and three at a time
        monkeypatch.setattr(masks, "_VALUES_AT_A_TIME", values)
        found = mask_iou(torch.from_numpy(ones), torch.from_numpy(others))
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_empty_masks_overlap_with_nothing():
    empty, full = torch.zeros(1, 3, 3, dtype=torch.bool), torch.ones(1, 3, 3, dtype=torch.bool)
    assert mask_iou(torch.cat([empty, full]), torch.cat([empty, full])).tolist() == [[0, 0], [0, 1]]
    assert mask_iou(full, empty[:0]).shape == (1, 0)


def test_overlaps_are_exact_under_automatic_mixed_precision():
    """In bfloat16, 1 / 301 of the pixels would be lost."""
    ones = torch.ones(1, 43, 7, dtype=torch.bool)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert mask_iou(ones, ones).item() == 1
