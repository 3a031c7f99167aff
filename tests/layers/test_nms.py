"""Greedy suppression against a literal loop, with ties, in blocks and with a limit."""

from __future__ import annotations

import pytest
import torch

from recseg_d2.layers import nms
from recseg_d2.layers.nms import GreedySuppression, greedy_nms


def literal_iou(a: list[float], b: list[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - width * height
    return width * height / union if union > 0 else 0.0


def literal_nms(boxes, scores, threshold: float) -> list[int]:
    boxes, scores = boxes.tolist(), scores.tolist()
    kept: list[int] = []
    for i in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if all(literal_iou(boxes[i], boxes[j]) <= threshold for j in kept):
            kept.append(i)
    return kept


def random_boxes(count: int, whole: bool, seed: int = 0) -> torch.Tensor:
    """Crowded boxes; on whole pixels many overlaps equal the threshold."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 12
    size = torch.rand(count, 2, generator=generator, dtype=torch.float64) * 10
    boxes = torch.cat([corner, corner + size], dim=1)
    return boxes.round() if whole else boxes


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.8, 1.0])
@pytest.mark.parametrize("block", [7, 1024])
def test_equals_the_literal_loop(monkeypatch, whole, threshold, block):
    monkeypatch.setattr(nms, "BLOCK", block)
    boxes = random_boxes(300, whole)
    scores = torch.randint(0, 40, (300,), generator=torch.Generator().manual_seed(1)).double()
    expected = literal_nms(boxes, scores, threshold)
    assert greedy_nms(boxes, scores, threshold).tolist() == expected
    for limit in (0, 1, 5, len(expected), 300):
        assert greedy_nms(boxes, scores, threshold, limit).tolist() == expected[:limit]


def test_float32_on_whole_pixels_has_exact_ties():
    boxes = random_boxes(400, whole=True, seed=3)
    scores = torch.arange(400.0)
    expected = literal_nms(boxes, scores, 0.8)
    assert greedy_nms(boxes.float(), scores, 0.8).tolist() == expected


def test_by_hand():
    """B overlaps A by 4/5, which is not above 0.8; C overlaps A by 5/6 and D by 6/7."""
    boxes = torch.tensor(
        [[0, 0, 10, 10], [0, 0, 10, 8], [0, 0, 10, 12], [0, 0, 10, 14]], dtype=torch.float32
    )
    scores = torch.tensor([4.0, 3.0, 2.0, 1.0])
    assert greedy_nms(boxes, scores, 0.8).tolist() == [0, 1, 3]
    assert greedy_nms(boxes, scores.flip(0), 0.8).tolist() == [3, 1, 0]


def test_a_chain_of_suppressions_is_resolved():
    """Each box overlaps its neighbours only: every second one stays, however long the chain."""
    start = torch.arange(60.0)[:, None]
    boxes = torch.cat([start, torch.zeros(60, 1), start + 3, torch.ones(60, 1)], dim=1)
    assert greedy_nms(boxes, -torch.arange(60.0), 0.4).tolist() == list(range(0, 60, 2))


def test_nothing_and_empty_boxes():
    none = torch.zeros(0, 4)
    assert greedy_nms(none, torch.zeros(0), 0.5).tolist() == []
    empty = torch.tensor([[1.0, 1, 1, 1]] * 3)
    assert greedy_nms(empty, torch.ones(3), 0.5).tolist() == [0, 1, 2]


def test_blocks_are_remembered_and_the_limit_ends_them():
    boxes = random_boxes(100, whole=False)
    whole = GreedySuppression(0.5).keep(boxes)
    parts = GreedySuppression(0.5)
    found = [parts.keep(block) + 25 * k for k, block in enumerate(boxes.split(25))]
    assert torch.equal(torch.cat(found), whole)
    limited = GreedySuppression(0.5, limit=3)
    assert torch.equal(limited.keep(boxes), whole[:3])
    assert limited.full
    assert len(limited.keep(boxes)) == 0


def test_in_lower_precision_the_decisions_are_the_same():
    """A sum of 300 ones has no place in bfloat16, and none of the decisions hangs on it."""
    boxes, scores = random_boxes(400, whole=False), torch.linspace(1, 0, 400)
    expected = greedy_nms(boxes, scores, 0.3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = greedy_nms(boxes, scores, 0.3)
    assert torch.equal(found, expected)
