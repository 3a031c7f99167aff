import pytest
import torch

from recseg_d2.errors import OptionError
from recseg_d2.postprocess.sequence import (
    PostprocessOptions,
    full_size_masks,
    postprocess,
    sequence_length,
)
from recseg_d2.structures import InstanceSequence


def logit(p):
    return torch.logit(torch.tensor(p))


def sequence(scores, masks, class_logits=None):
    return InstanceSequence(masks[None], logit(scores)[None], class_logits)


def rows(*probabilities):
    """A mask a step: row t of a 3x3 image has that probability, the rest none."""
    masks = torch.full((len(probabilities), 3, 3), -20.0)
    for t, p in enumerate(probabilities):
        masks[t, t] = logit(p)
    return masks


@pytest.mark.parametrize(
    ("scores", "length"),
    [([0.9, 0.8], 2), ([0.9, 0.4, 0.9], 1), ([0.1], 0), ([0.5], 1)],
)
def test_the_sequence_ends_at_the_first_low_score(scores, length):
    assert sequence_length(logit(scores), 0.5) == length


def test_steps_after_the_end_are_not_kept_even_if_scored_high():
    found = postprocess(
        sequence([0.9, 0.2, 0.9], rows(0.9, 0.9, 0.9)), 0, (3, 3), PostprocessOptions()
    )
    assert found.step.tolist() == [0]
    assert found.scores.tolist() == pytest.approx([0.9])
    assert found.masks[0].nonzero().tolist() == [[0, 0], [0, 1], [0, 2]]


def test_empty_masks_are_dropped_and_steps_keep_their_number():
    found = postprocess(sequence([0.9, 0.8], rows(0.1, 0.9)), 0, (3, 3), PostprocessOptions())
    assert found.step.tolist() == [1]
    assert found.classes.tolist() == [0]


def test_probabilities_grow_before_they_are_compared():
    masks = torch.full((2, 5, 7), -20.0)
    masks[0, 2, 1], masks[1, 2, 5] = logit(0.9), logit(0.8)
    grown = PostprocessOptions(dilation=3, exclusive=True)
    found = postprocess(sequence([0.9, 0.9], masks), 0, (5, 7), grown)
    expected = torch.zeros(2, 5, 7, dtype=torch.bool)
    expected[0, 1:4, 0:3] = expected[1, 1:4, 4:7] = True
    assert torch.equal(found.masks, expected)
    with pytest.raises(OptionError, match="dilation is 4; expected 0 or an odd"):
        PostprocessOptions(dilation=4)


def test_a_mask_may_keep_its_largest_piece_only():
    masks = torch.full((2, 4, 6), -20.0)
    masks[0, 0, 0] = masks[0, 1, 1] = masks[0, 2:4, 1:4] = 20.0  # a corner joins nothing
    masks[1, 0, 0] = masks[1, 3, 5] = 20.0
    one = PostprocessOptions(largest_component=True)
    found = postprocess(sequence([0.9, 0.9], masks), 0, (4, 6), one)
    assert found.masks[0].nonzero().tolist() == [
        [1, 1],
        *([y, x] for y in (2, 3) for x in (1, 2, 3)),
    ]
    assert found.masks[1].nonzero().tolist() == [[0, 0]]
    assert len(postprocess(sequence([], masks[:0]), 0, (4, 6), one).step) == 0


def test_a_mask_is_of_its_best_class_and_has_a_score_of_each():
    classes = torch.log(torch.tensor([[0.2, 0.5, 0.3], [0.6, 0.3, 0.1]]))
    found = postprocess(
        sequence([0.9, 0.8], rows(0.9, 0.9), classes[None]), 0, (3, 3), PostprocessOptions()
    )
    assert found.classes.tolist() == [1, 0]
    assert found.scores.tolist() == pytest.approx([0.45, 0.48])
    expected = torch.tensor([[0.18, 0.45, 0.27], [0.48, 0.24, 0.08]])
    torch.testing.assert_close(found.class_scores, expected)


def test_small_masks_are_dropped_by_share_of_the_image():
    masks = torch.full((1, 3, 3), -20.0)
    masks[0, 0, 0] = 20.0
    for share, kept in ((0.1, 1), (0.2, 0)):
        options = PostprocessOptions(min_area=share)
        assert len(postprocess(sequence([0.9], masks), 0, (3, 3), options).step) == kept


def test_nothing_predicted():
    found = postprocess(sequence([0.1], rows(0.9)), 0, (7, 5), PostprocessOptions())
    assert found.masks.shape == (0, 7, 5)
    assert found.scores.shape == found.classes.shape == found.step.shape == (0,)


def test_scores_are_objectness_times_class_probability():
    classes = torch.tensor([[[0.0, 0.0, torch.log(torch.tensor(2.0))]]])  # 1/4, 1/4, 1/2
    found = postprocess(sequence([0.8], rows(0.9), classes), 0, (3, 3), PostprocessOptions())
    assert found.classes.tolist() == [2]
    assert found.scores.tolist() == pytest.approx([0.4])


def test_masks_are_thresholded_at_full_resolution():
    logits = torch.tensor([[[-1.0, 1.0]]])  # bilinear to 4: -1, -.5, .5, 1
    assert full_size_masks(logits, (1, 4), PostprocessOptions())[0, 0].tolist() == [
        False,
        False,
        True,
        True,
    ]
    high = PostprocessOptions(mask_thresh=0.7)  # sigmoid(.5) = 0.62, sigmoid(1) = 0.73
    assert full_size_masks(logits, (1, 4), high)[0, 0].tolist() == [False, False, False, True]


def test_exclusive_gives_a_pixel_to_the_most_probable_mask():
    logits = torch.tensor([[[3.0, 1.0, -1.0]], [[2.0, 2.0, -2.0]]])
    plain = full_size_masks(logits, (1, 3), PostprocessOptions())
    assert plain.sum().item() == 4
    exclusive = full_size_masks(logits, (1, 3), PostprocessOptions(exclusive=True))
    assert exclusive[:, 0].tolist() == [[True, False, False], [False, True, False]]


def test_weighted_masks_are_multiplied_by_their_objectness_first():
    masks = torch.full((2, 3, 3), -20.0)
    masks[0, 0], masks[1, :2] = logit(0.9), logit(0.8)
    found = sequence([0.5, 0.9], masks)  # .45 in row 0, .72 in rows 0 and 1
    kept = postprocess(found, 0, (3, 3), PostprocessOptions(weighted=True))
    assert kept.step.tolist() == [1]
    low = PostprocessOptions(weighted=True, mask_thresh=0.3)
    assert postprocess(found, 0, (3, 3), low).masks.sum(dim=(1, 2)).tolist() == [3, 6]
    alone = PostprocessOptions(weighted=True, mask_thresh=0.3, exclusive=True)
    assert postprocess(found, 0, (3, 3), alone).masks.sum(dim=(1, 2)).tolist() == [6]
    plain = PostprocessOptions(exclusive=True)
    assert postprocess(found, 0, (3, 3), plain).masks.sum(dim=(1, 2)).tolist() == [3, 3]
