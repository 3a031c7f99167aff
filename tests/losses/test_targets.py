import pytest
import torch

from recseg_d2.losses.targets import build_targets, in_order


def mask(height, width, *pixels):
    m = torch.zeros(height, width, dtype=torch.bool)
    for y, x in pixels:
        m[y, x] = True
    return m


def test_padding_and_counts():
    two = torch.stack([mask(4, 4, (0, 0)), mask(4, 4, (1, 1), (1, 2))])
    none = torch.zeros(0, 4, 4, dtype=torch.bool)
    targets = build_targets([two, none], [torch.tensor([3, 1]), torch.tensor([]).long()], (4, 4), 9)
    assert targets.masks.shape == (2, 2, 4, 4)
    assert targets.counts.tolist() == [2, 0]
    assert targets.classes.tolist() == [[3, 1], [0, 0]]
    assert targets.boxes[0, 1].tolist() == [0.25, 0.25, 0.75, 0.5]
    assert targets.masks[1].sum() == 0


def test_a_batch_without_objects_is_padded_to_one():
    none = torch.zeros(0, 4, 4, dtype=torch.bool)
    targets = build_targets([none], [torch.tensor([]).long()], (4, 4), 9)
    assert targets.masks.shape == (1, 1, 4, 4)
    assert targets.counts.tolist() == [0]


def test_more_objects_than_steps_keeps_the_largest_in_order():
    masks = torch.stack(
        [mask(4, 4, (0, 0)), mask(4, 4, (1, 0), (1, 1), (1, 2)), mask(4, 4, (2, 0), (2, 1))]
    )
    targets = build_targets([masks], [torch.tensor([0, 1, 2])], (4, 4), max_objects=2)
    assert targets.classes.tolist() == [[1, 2]]


def test_objects_that_vanish_on_resizing_are_dropped():
    masks = torch.stack([mask(8, 8, (0, 0)), torch.ones(8, 8, dtype=torch.bool)])
    targets = build_targets([masks], [torch.tensor([0, 1])], (2, 2), max_objects=5)
    assert targets.classes.tolist() == [[1]]
    assert targets.counts.tolist() == [1]


ORDERS = {
    "any": [[7, 8, 9], [5]],
    "right_to_left": [[8, 9, 7], [5]],
    "top_to_bottom": [[9, 7, 8], [5]],
    "large_to_small": [[8, 7, 9], [5]],
}


@pytest.mark.parametrize("order", ORDERS)
def test_objects_in_a_fixed_order(order):
    left = mask(6, 6, (2, 0), (3, 0))
    right = mask(6, 6, (4, 4), (4, 5), (5, 4), (5, 5))
    top = mask(6, 6, (0, 2))
    first, second = torch.stack([left, right, top]), mask(6, 6, (3, 3))[None]
    classes = [torch.tensor([7, 8, 9]), torch.tensor([5])]
    targets = build_targets([first, second], classes, (6, 6), 9)
    ordered = in_order(targets, order)
    found = [c[v].tolist() for c, v in zip(ordered.classes, ordered.valid, strict=True)]
    assert found == ORDERS[order]
    assert ordered.counts.tolist() == [3, 1]
    of_class = {7: left, 8: right, 9: top, 5: second[0]}
    for image, names in enumerate(found):
        for place, name in enumerate(names):
            assert torch.equal(ordered.masks[image, place].bool(), of_class[name])
