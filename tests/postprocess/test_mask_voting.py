from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from recseg_d2.errors import UserError
from recseg_d2.layers.masks import mask_iou
from recseg_d2.postprocess import mask_voting
from recseg_d2.postprocess.mask_voting import MergeOptions, merge_proposals, suppress_by_class, vote


def greedy(scores: np.ndarray, overlap: np.ndarray, options: MergeOptions) -> np.ndarray:
    """The literal pass from the best to the worst, class by class."""
    kept = np.zeros(scores.shape, bool)
    for c in range(scores.shape[1]):
        for p in np.argsort(-scores[:, c], kind="stable"):
            clear = all(overlap[p, q] <= options.nms_threshold for q in np.flatnonzero(kept[:, c]))
            kept[p, c] = scores[p, c] >= options.score_threshold and clear
    return kept


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 25), st.integers(1, 4), st.booleans())
def test_suppression_equals_the_literal_pass(seed, number, classes, with_ties):
    rng = np.random.default_rng(seed)
    scores = rng.random((number, classes))
    if with_ties:
        scores = np.round(scores * 3) / 3
    overlap = rng.random((number, number))
    overlap = np.maximum(overlap, overlap.T)
    np.fill_diagonal(overlap, 1)
    options = MergeOptions(score_threshold=0.2, nms_threshold=0.7)
    found = suppress_by_class(torch.from_numpy(scores), torch.from_numpy(overlap), options)
    np.testing.assert_array_equal(found, greedy(scores, overlap, options))


def test_suppression_of_few_classes_at_a_time_is_the_same(monkeypatch):
    rng = np.random.default_rng(1)
    scores, overlap = torch.from_numpy(rng.random((12, 5))), torch.from_numpy(rng.random((12, 12)))
    together = suppress_by_class(scores, overlap, MergeOptions())
    monkeypatch.setattr(mask_voting, "_VALUES_AT_A_TIME", 300)  # two classes
    torch.testing.assert_close(suppress_by_class(scores, overlap, MergeOptions()), together)


def bars(*ranges: tuple[int, int]) -> torch.Tensor:
    """Masks of one row of ten pixels."""
    masks = torch.zeros(len(ranges), 1, 10, dtype=torch.bool)
    for mask, (low, high) in zip(masks, ranges, strict=True):
        mask[0, low:high] = True
    return masks


def row(mask: torch.Tensor) -> str:
    return "".join("x" if inside else "." for inside in mask[0].tolist())


def test_votes_by_hand(monkeypatch):
    """Weights 0.6, 0.3 and 0.1: pixel 0 has 0.6, 1 to 3 all, 4 has 0.4, 5 has 0.1."""
    masks = bars((0, 4), (1, 5), (1, 6))
    weights = torch.tensor([[0.6, 0.3, 0.1]])
    assert row(vote(masks, weights, 0.4)[0]) == "xxxxx....."
    assert row(vote(masks, weights, 0.5)[0]) == "xxxx......"
    assert row(vote(masks, 7 * weights, 0.4)[0]) == "xxxxx....."  # only shares count
    assert row(vote(masks, weights, 0.1)[0]) == "xxxxxx...."
    monkeypatch.setattr(mask_voting, "_VALUES_AT_A_TIME", 8)  # two pixels at a time
    assert row(vote(masks, weights, 0.4)[0]) == "xxxxx....."


def test_a_row_without_votes_is_empty():
    assert not vote(bars((0, 4)), torch.zeros(1, 1), 0.4).any()


def test_merging_by_hand():
    masks = bars((0, 4), (1, 5), (6, 9))
    probabilities = torch.tensor([[0.8, 0.1], [0.4, 0.3], [0.05, 0.6]])
    overlap = mask_iou(masks, masks)  # of the first two: 3 / 5
    options = MergeOptions(score_threshold=0.08, nms_threshold=0.5)
    found = merge_proposals(masks, probabilities, overlap, options)
    assert found.classes.tolist() == [0, 1, 1]
    torch.testing.assert_close(found.scores, torch.tensor([0.8, 0.6, 0.3]))
    assert found.proposal.tolist() == [0, 2, 1]
    # class 0: shares 2/3 and 1/3; class 1: the second's 3/4 outvotes the first's 1/4
    assert [row(m) for m in found.masks] == ["xxxx......", "......xxx.", ".xxxx....."]
    plain = merge_proposals(masks, probabilities, overlap, MergeOptions("nms", 0.08, 0.5))
    torch.testing.assert_close(plain.masks, masks[[0, 2, 1]])


def test_the_best_are_kept_when_there_are_too_many():
    masks = bars((0, 2), (3, 5), (6, 8))
    probabilities = torch.tensor([[0.5], [0.9], [0.7]])
    overlap = mask_iou(masks, masks)
    found = merge_proposals(masks, probabilities, overlap, MergeOptions(max_instances=2))
    assert found.proposal.tolist() == [1, 2]


@pytest.mark.parametrize("merge", ["voting", "nms"])
def test_empty_masks_are_no_instances_and_no_proposals_make_none(merge):
    masks = bars((0, 0), (3, 5))
    overlap = mask_iou(masks, masks)
    options = MergeOptions(merge)
    found = merge_proposals(masks, torch.tensor([[0.9], [0.5]]), overlap, options)
    assert found.proposal.tolist() == [1]
    none = merge_proposals(masks[:0], torch.zeros(0, 3), overlap[:0, :0], options)
    assert none.masks.shape == (0, 1, 10)
    assert none.scores.shape == none.classes.shape == (0,)


def test_unknown_ways_to_merge_are_refused():
    with pytest.raises(UserError, match=r"TEST\.MERGE is 'mean'; expected one of voting, nms"):
        MergeOptions(merge="mean")
