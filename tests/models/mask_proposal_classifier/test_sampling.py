from __future__ import annotations

import torch

from recseg_d2.models.mask_proposal_classifier.sampling import (
    IGNORED,
    SamplingOptions,
    label_proposals,
    sample_proposals,
)


def test_labels_by_hand():
    iou = torch.tensor([[0.5, 0.6], [0.5, 0.2], [0.49, 0.0], [0.05, 0.1], [0.0, 0.09]])
    options = SamplingOptions(background_iou=(0.1, 0.4))
    labels = label_proposals(iou, torch.tensor([2, 0]), 3, options)
    assert labels.tolist() == [0, 2, IGNORED, 3, IGNORED]


def test_without_objects_all_is_background():
    labels = label_proposals(torch.zeros(3, 0), torch.zeros(0).long(), 5, SamplingOptions())
    assert labels.tolist() == [5, 5, 5]
    strict = SamplingOptions(background_iou=(0.1, 0.5))
    labels = label_proposals(torch.zeros(3, 0), torch.zeros(0).long(), 5, strict)
    assert labels.tolist() == [IGNORED] * 3


def test_samples_keep_to_the_share_and_leave_out_what_is_ignored():
    labels = torch.tensor([0] * 20 + [2] * 50 + [IGNORED] * 30)
    chosen = sample_proposals(labels, 2, SamplingOptions(number=40, foreground_fraction=0.25))
    assert len(chosen) == len(set(chosen.tolist())) == 40
    assert torch.bincount(labels[chosen]).tolist() == [10, 0, 30]


def test_background_fills_up_and_neither_has_to_be_there():
    options = SamplingOptions(number=8, foreground_fraction=0.5)
    few = torch.tensor([1, 2, 2, 2, 2, 2, 2, 2, 2, 2])
    chosen = sample_proposals(few, 2, options)
    assert sorted(few[chosen].tolist()) == [1, 2, 2, 2, 2, 2, 2, 2]
    assert len(sample_proposals(torch.tensor([1] * 9), 2, options)) == 4
    assert len(sample_proposals(torch.tensor([IGNORED] * 9), 2, options)) == 0
    assert len(sample_proposals(torch.zeros(0).long(), 2, options)) == 0


def test_a_generator_repeats_the_draw():
    labels = torch.randint(0, 3, (100,))
    draws = [
        sample_proposals(labels, 2, SamplingOptions(), torch.Generator().manual_seed(3)).tolist()
        for _ in range(2)
    ]
    assert draws[0] == draws[1]
