import torch

from recseg_d2.losses.targets import build_targets


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
