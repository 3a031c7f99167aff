import itertools

import pytest
import torch

from recseg_d2.layers.matching import assign, gather_objects, soft_iou_matrix


def literal_soft_iou(p, y):
    inter = sum(a * b for a, b in zip(p.flatten().tolist(), y.flatten().tolist(), strict=True))
    return inter / (p.sum().item() + y.sum().item() - inter + 1e-6)


def test_soft_iou_equals_a_loop_over_pixels():
    torch.manual_seed(0)
    p, y = torch.rand(2, 3, 4, 5).double(), (torch.rand(2, 2, 4, 5) > 0.5).double()
    iou = soft_iou_matrix(p, y)
    for b, t, n in itertools.product(range(2), range(3), range(2)):
        assert iou[b, t, n].item() == pytest.approx(literal_soft_iou(p[b, t], y[b, n]), abs=1e-9)


def test_soft_iou_by_hand():
    p = torch.tensor([[1.0, 0.5, 0.0, 0.0]]).view(1, 1, 2, 2)
    y = torch.tensor([[1.0, 1.0, 0.0, 0.0]]).view(1, 1, 2, 2)
    assert soft_iou_matrix(p, y).item() == pytest.approx(1.5 / (1.5 + 2 - 1.5), abs=1e-5)
    assert soft_iou_matrix(p, torch.zeros(1, 1, 2, 2)).item() == 0.0
    assert soft_iou_matrix(torch.zeros(1, 1, 2, 2), torch.zeros(1, 1, 2, 2)).item() == 0.0


def test_soft_iou_gradient():
    p = torch.rand(1, 2, 3, 3, dtype=torch.float64, requires_grad=True)
    y = (torch.rand(1, 2, 3, 3) > 0.5).double()
    assert torch.autograd.gradcheck(lambda x: soft_iou_matrix(x, y), p)


def brute_force(block):
    """The largest total over all one-to-one assignments of a square or taller block."""
    steps, objects = block.shape
    if steps < objects:
        return brute_force(block.T)
    return max(
        sum(float(block[t, n]) for n, t in enumerate(chosen))
        for chosen in itertools.permutations(range(steps), objects)
    )


@pytest.mark.parametrize(("steps", "objects"), [(3, 3), (5, 3), (2, 4), (1, 1)])
def test_assignment_is_the_best_of_all(steps, objects):
    torch.manual_seed(steps)
    similarity = torch.rand(1, steps, objects)
    chosen = assign(similarity, torch.tensor([objects]))[0]
    used = [(t, n) for t, n in enumerate(chosen.tolist()) if n >= 0]
    assert len({n for _, n in used}) == len(used) == min(steps, objects)
    total = sum(float(similarity[0, t, n]) for t, n in used)
    assert total == pytest.approx(brute_force(similarity[0, : min(steps, objects)]))


def test_predictions_after_the_count_are_left_out():
    similarity = torch.zeros(1, 4, 2)
    similarity[0, 3] = 1.0  # the best one comes too late
    assert assign(similarity, torch.tensor([2]))[0, 2:].tolist() == [-1, -1]


def test_padding_is_never_matched():
    similarity = torch.zeros(2, 3, 3)
    similarity[:, :, 2] = 1.0
    result = assign(similarity, torch.tensor([2, 0]))
    assert set(result[0].tolist()) == {0, 1, -1}
    assert result[1].tolist() == [-1, -1, -1]


def test_in_order_step_t_answers_for_object_t():
    similarity = torch.rand(2, 4, 3)
    assigned = assign(similarity, torch.tensor([3, 1]), in_order=True)
    assert assigned.tolist() == [[0, 1, 2, -1], [0, -1, -1, -1]]
    assert assign(similarity[:, :2], torch.tensor([3, 0]), True).tolist() == [[0, 1], [-1, -1]]


def test_what_is_not_a_number_is_matched_last():
    nan, inf = float("nan"), float("inf")
    similarity = torch.tensor([[[nan, 0.1], [0.2, nan]], [[-inf, nan], [nan, nan]]])
    assert assign(similarity, torch.tensor([2, 2]))[0].tolist() == [1, 0]


def test_gather_takes_the_matched_objects():
    values = torch.arange(12.0).view(1, 3, 4)
    gathered = gather_objects(values, torch.tensor([[2, -1, 0]]))
    assert gathered[0, 0].tolist() == [8.0, 9.0, 10.0, 11.0]
    assert gathered[0, 2].tolist() == [0.0, 1.0, 2.0, 3.0]
    classes = gather_objects(torch.tensor([[5, 6, 7]]), torch.tensor([[1, 2]]))
    assert classes.tolist() == [[6, 7]]
