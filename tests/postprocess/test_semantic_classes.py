"""Classes of instances from a semantic segmentation, by hand."""

from __future__ import annotations

import torch

from recseg_d2.postprocess.semantic_classes import semantic_shares, vote_classes

# rows: background, class 0, class 1; two by three pixels
SEMANTIC = torch.tensor(
    [
        [[1.0, 0.5, 0.0], [0.0, 0.0, 0.0]],
        [[0.0, 0.5, 1.0], [0.25, 0.0, 0.0]],
        [[0.0, 0.0, 0.0], [0.75, 1.0, 1.0]],
    ]
)


def test_shares_are_means_over_the_mask():
    masks = torch.tensor([[[1, 1, 1], [0, 0, 0]], [[0, 0, 0], [1, 1, 0]]]).bool()
    expected = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.125, 0.875]])
    torch.testing.assert_close(semantic_shares(masks, SEMANTIC), expected)


def test_the_background_has_no_vote_but_is_reported():
    masks = torch.zeros(4, 2, 3, dtype=torch.bool)
    masks[0, 0] = masks[1, 1] = masks[2, 0, 0] = True  # mask 3 is empty
    classes, background = vote_classes(masks, SEMANTIC)
    assert classes.tolist() == [0, 1, 0, 0]
    assert background.tolist() == [0.5, 0.0, 1.0, 1.0]


def test_no_instance():
    classes, background = vote_classes(torch.zeros(0, 2, 3, dtype=torch.bool), SEMANTIC)
    assert classes.shape == background.shape == (0,)
    assert classes.dtype == torch.int64
