"""Masks of an image one at a time, from a tensor and from what has no tensor of all masks."""

from __future__ import annotations

import numpy as np
import torch
from detectron2.structures import Instances
from one_at_a_time import OneAtATime

from recseg_d2.postprocess import label_map_of, masks_of

MASKS = torch.tensor([[[1, 1, 0, 0]], [[0, 1, 1, 0]], [[0, 0, 1, 0]]]).bool()


def instances(masks, scores: list[float], size=(1, 4)) -> Instances:
    return Instances(size, pred_masks=masks, scores=torch.tensor(scores))


def test_overlaps_go_to_the_higher_score_and_ties_to_the_first():
    for masks in (MASKS, OneAtATime(MASKS)):
        labels = label_map_of(instances(masks, [0.5, 0.9, 0.9]))
        assert labels.tolist() == [[1, 2, 2, 0]]
        assert labels.dtype == np.int32


def test_no_mask_is_background_of_the_images_size():
    assert label_map_of(instances(MASKS[:0], [])).tolist() == [[0, 0, 0, 0]]
    assert list(masks_of(instances(MASKS[:0], []))) == []


def test_each_mask_is_an_array():
    found = list(masks_of(instances(OneAtATime(MASKS.to(torch.uint8)), [0.1] * 3)))
    assert [mask.dtype for mask in found] == [bool] * 3
    assert np.stack(found).tolist() == MASKS.tolist()
