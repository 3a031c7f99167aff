"""Ignored pixels: losses are those of the known pixels, and gradients are 0 elsewhere."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from recseg_d2.losses.ignored import without_ignored
from recseg_d2.models.convlstm import options as rsis
from recseg_d2.models.convlstm.criterion import SequenceCriterion
from recseg_d2.models.recurrent_attention import options as ris
from recseg_d2.models.recurrent_attention.box_iou import BoxIoU
from recseg_d2.models.recurrent_attention.criterion import AttentionCriterion
from recseg_d2.models.recurrent_attention.foreground_angle_losses import (
    background_where,
    foreground_loss,
)
from recseg_d2.models.recurrent_attention.steps import AttentionSequence
from recseg_d2.structures import InstanceTargets

SIZE = (6, 8)
COUNTS = torch.tensor([2, 1])


@pytest.fixture
def targets() -> InstanceTargets:
    masks = torch.zeros(2, 2, *SIZE)
    masks[0, 0, 1:4, 1:4] = masks[0, 1, 4:, 5:] = masks[1, 0, :3, :5] = 1
    valid = torch.arange(2) < COUNTS[:, None]
    return InstanceTargets(masks, torch.zeros(2, 2).long(), torch.zeros(2, 2, 4), valid)


@pytest.fixture
def ignored(targets) -> torch.Tensor:
    """A column beside the first objects, half of the second image; no object is in it."""
    where = torch.zeros(2, *SIZE, dtype=torch.bool)
    where[0, :, 4] = where[1, 3:] = True
    assert not (targets.masks.bool() & where[:, None]).any()
    return where


def sequence() -> AttentionSequence:
    logits = torch.randn(2, 3, *SIZE, generator=torch.Generator().manual_seed(0))
    scores = torch.tensor([[1.0, 0.5, -0.5], [0.3, 0.2, 0.1]])
    return AttentionSequence(logits.requires_grad_(), scores.requires_grad_())


CRITERIA = {
    "rsis": SequenceCriterion(rsis.LossWeights()),
    "ris": AttentionCriterion(ris.LossWeights(), BoxIoU(ris.BoxIoUOptions())),
}


def literal_iou(logits: torch.Tensor, mask: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Soft IoU of two lists of known pixels."""
    p, y = logits[known].sigmoid(), mask[known]
    return (p * y).sum() / (p.sum() + y.sum() - (p * y).sum() + 1e-6)


@pytest.mark.parametrize("name", CRITERIA)
def test_the_mask_loss_is_that_of_the_known_pixels(name, targets, ignored):
    found = sequence()
    criterion = CRITERIA[name]
    losses = criterion(without_ignored(found, ignored, COUNTS), targets)
    ious = [
        [
            [literal_iou(found.mask_logits[b, t], targets.masks[b, n], ~ignored[b]) for n in (0, 1)]
            for t in range(3)
        ]
        for b in (0, 1)
    ]
    pair = max(ious[0][0][0] + ious[0][1][1], ious[0][0][1] + ious[0][1][0])
    per_image = [(2 - pair) / 2, 1 - ious[1][0][0]]
    expected = {"rsis": (2 - pair + 1 - ious[1][0][0]) / 3, "ris": sum(per_image) / 2}
    torch.testing.assert_close(losses["loss_mask"], expected[name] * criterion.weights.mask)

    sum(losses.values()).backward()
    gradient = found.mask_logits.grad
    assert not gradient.masked_select(ignored[:, None]).any()
    assert gradient[0, :2].masked_select(~ignored[0]).all()


@pytest.mark.parametrize("name", CRITERIA)
def test_what_is_predicted_in_ignored_pixels_changes_no_loss(name, targets, ignored):
    one, other = sequence(), sequence()
    with torch.no_grad():
        for image, count in enumerate(COUNTS):  # by later masks it is told which scores count
            other.mask_logits[image, :count].masked_fill_(ignored[image], 3.0)
    first, second = (
        CRITERIA[name](without_ignored(s, ignored, COUNTS), targets) for s in (one, other)
    )
    assert {k: v.item() for k, v in first.items()} == {k: v.item() for k, v in second.items()}


@pytest.mark.parametrize("name", CRITERIA)
@pytest.mark.parametrize("unmarked", [True, False])
def test_a_surplus_step_on_ignored_pixels_has_no_score_to_learn(name, targets, ignored, unmarked):
    found = sequence()
    with torch.no_grad():
        found.mask_logits[1, 1:] = torch.where(ignored[1] == unmarked, 9.0, -9.0)
    losses = CRITERIA[name](without_ignored(found, ignored, COUNTS), targets)
    score = losses["loss_stop" if name == "rsis" else "loss_score"]
    (gradient,) = torch.autograd.grad(score, found.score_logits)
    assert bool(gradient[1, 1] == 0) == unmarked
    assert gradient[1, 0]
    assert gradient[0].all()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_foreground_loss_is_that_of_the_known_pixels(channels, ignored):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(2, channels, *SIZE, generator=generator, requires_grad=True)
    truth = torch.randint(0, max(2, channels), (2, *SIZE), generator=generator)
    truth[ignored] = 0
    loss = foreground_loss(background_where(ignored, logits), truth)
    known = logits.permute(0, 2, 3, 1)[~ignored]
    if channels == 1:
        inside = truth[~ignored].float()
        total = F.binary_cross_entropy_with_logits(known[:, 0], inside, reduction="sum")
    else:
        total = F.cross_entropy(known, truth[~ignored], reduction="sum")
    torch.testing.assert_close(loss, total / ignored.numel())
    (gradient,) = torch.autograd.grad(loss, logits)
    assert not gradient.masked_select(ignored[:, None]).any()
    assert gradient.masked_select(~ignored[:, None]).all()
