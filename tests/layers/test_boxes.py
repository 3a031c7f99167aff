import pytest
import torch
from torch.autograd import gradcheck

from recseg_d2.layers.boxes import (
    box_iou,
    corners_window,
    fill_corners,
    masks_to_boxes,
    pad_corners,
    window_corners,
)


def test_a_window_spans_its_pixels():
    # pixels 3 to 5 down and 7 only across
    corners = torch.tensor([7.0, 3.0, 8.0, 6.0])
    centre, size = corners_window(corners)
    assert (centre.tolist(), size.tolist()) == ([4.0, 7.0], [2.0, 0.0])
    assert window_corners(centre, size).tolist() == corners.tolist()


def test_padding_is_a_share_but_a_minimum_at_least():
    corners = torch.tensor([[10.0, 20.0, 30.0, 120.0], [10.0, 20.0, 11.0, 21.0]])
    assert pad_corners(corners, 0.2, 5.0).tolist() == [[5.0, 0.0, 35.0, 140.0], [5, 15, 16, 26]]


@pytest.mark.parametrize(
    ("corners", "pixels"),
    [
        ([1.0, 0.0, 3.0, 1.0], [[0, 1], [0, 2]]),
        ([3.0, 2.0, 9.0, 9.0], [[2, 3]]),  # beyond the corner
        ([-9.0, -9.0, 1.0, 1.0], [[0, 0]]),
        ([5.0, 0.0, 9.0, 9.0], []),  # outside
        ([0.0, 0.0, 0.0, 0.0], []),  # padding
        ([0.6, 0.0, 1.4, 1.0], []),  # between two centres
    ],
)
def test_filling(corners, pixels):
    filled = fill_corners(torch.tensor([[corners]]), (3, 4))
    assert filled[0, 0].nonzero().tolist() == pixels


def mask(height, width, *pixels):
    m = torch.zeros(height, width, dtype=torch.bool)
    for y, x in pixels:
        m[y, x] = True
    return m


def test_boxes_by_hand():
    masks = torch.stack([mask(4, 6, (1, 2), (3, 4)), mask(4, 6, (0, 5)), mask(4, 6)])
    assert masks_to_boxes(masks).tolist() == [[2, 1, 5, 4], [5, 0, 6, 1], [0, 0, 0, 0]]


def test_boxes_of_no_mask():
    assert masks_to_boxes(torch.zeros(0, 4, 6, dtype=torch.bool)).shape == (0, 4)


def test_boxes_of_views_of_masks_are_those_of_copies():
    masks = torch.rand(5, 12, 18, generator=torch.Generator().manual_seed(0)) > 0.97
    for view in (
        masks.transpose(1, 2),
        masks[:, ::2, 1::3],
        masks[::2],
        masks[:1].expand(3, -1, -1),
    ):
        assert torch.equal(masks_to_boxes(view), masks_to_boxes(view.clone()))


def test_empty_boxes_overlap_with_nothing():
    empty = torch.tensor([[1.0, 1, 1, 1]] * 3)
    assert (box_iou(empty, empty) == 0).all()


def test_batches_of_pairs_by_hand():
    predicted = torch.tensor([[[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]]])
    targets = torch.tensor([[[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0]]])
    for eps in (None, 1e-6):
        table = box_iou(predicted, targets, eps)
        assert table.shape == (1, 2, 2)
        assert table[0].tolist() == [[pytest.approx(1 / 3), 0.0], [0.0, 0.0]]


def test_gradients_are_those_of_the_definition_and_finite_for_empty_boxes():
    generator = torch.Generator().manual_seed(0)
    ones, others = (torch.rand(2, n, 4, generator=generator, dtype=torch.float64) for n in (3, 2))
    for boxes in (ones, others):
        boxes[..., 2:] += boxes[..., :2] + 0.1
        boxes.requires_grad_(True)
    assert gradcheck(lambda a, b: box_iou(a, b, 1e-6), (ones, others))
    empty = torch.ones(1, 4, requires_grad=True)
    box_iou(empty, empty, 1e-6).sum().backward()
    assert empty.grad.isfinite().all()
