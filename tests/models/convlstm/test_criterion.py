import pytest
import torch

from recseg_d2.models.convlstm.criterion import SequenceCriterion
from recseg_d2.models.convlstm.options import LossWeights
from recseg_d2.structures import InstanceSequence, InstanceTargets


def scene(counts=(2, 1), steps=3, classes=2):
    """Objects are rows of the image; predictions start at random."""
    torch.manual_seed(0)
    n = max(1, *counts)
    masks = torch.zeros(len(counts), n, 4, 4)
    for b, count in enumerate(counts):
        for i in range(count):
            masks[b, i, i] = 1.0
    valid = torch.arange(n)[None] < torch.tensor(counts)[:, None]
    targets = InstanceTargets(
        masks, torch.ones(len(counts), n).long() * valid, torch.rand(len(counts), n, 4), valid
    )
    sequence = InstanceSequence(
        torch.randn(len(counts), steps, 4, 4, requires_grad=True),
        torch.randn(len(counts), steps, requires_grad=True),
        torch.randn(len(counts), steps, classes, requires_grad=True),
        torch.rand(len(counts), steps, 4, requires_grad=True),
    )
    return sequence, targets


def test_all_terms_and_their_weights():
    sequence, targets = scene()
    plain = SequenceCriterion(LossWeights())(sequence, targets)
    double = SequenceCriterion(LossWeights(2.0, 2.0, 0.2, 0.5))(sequence, targets)
    assert set(plain) == {"loss_mask", "loss_box", "loss_class", "loss_stop"}
    for name, value in plain.items():
        assert double[name].item() == pytest.approx(2 * value.item())


def test_in_a_fixed_order_each_step_answers_for_its_own_object():
    sequence, targets = scene(counts=(2, 1))
    found = torch.full((2, 3, 4, 4), -20.0)
    found[:, 0, 1] = found[:, 1, 0] = 20.0  # the objects, the other way round
    swapped = InstanceSequence(found, sequence.score_logits)
    weights = LossWeights(stop=0.0)
    assert SequenceCriterion(weights)(swapped, targets)["loss_mask"] < 0.4
    assert SequenceCriterion(weights, in_order=True)(swapped, targets)["loss_mask"] > 0.99


def test_terms_of_weight_zero_or_without_a_head_are_absent():
    sequence, targets = scene()
    only = SequenceCriterion(LossWeights(box=0.0, cls=0.0, stop=0.0))(sequence, targets)
    assert set(only) == {"loss_mask"}
    bare = InstanceSequence(sequence.mask_logits, sequence.score_logits)
    assert set(SequenceCriterion(LossWeights())(bare, targets)) == {"loss_mask", "loss_stop"}


def test_the_best_permutation_is_found_and_costs_nothing():
    _, targets = scene(counts=(2,), steps=2)
    logits = (targets.masks[:, [1, 0]] * 2 - 1) * 50  # right masks in the other order
    classes = torch.full((1, 2, 2), -50.0).index_fill(2, torch.tensor([1]), 50.0)
    sequence = InstanceSequence(logits, torch.full((1, 2), 50.0), classes, targets.boxes[:, [1, 0]])
    losses = SequenceCriterion(LossWeights())(sequence, targets)
    for value in losses.values():
        assert value.item() == pytest.approx(0.0, abs=1e-5)


def test_predictions_after_the_objects_get_no_gradient_from_masks_boxes_or_classes():
    sequence, targets = scene(counts=(1,), steps=3)
    losses = SequenceCriterion(LossWeights())(sequence, targets)
    sum(losses.values()).backward()
    for leaf in (sequence.mask_logits, sequence.boxes, sequence.class_logits):
        assert leaf.grad[0, 0].abs().sum() > 0
        assert leaf.grad[0, 1:].abs().sum() == 0


def test_fewer_steps_than_objects_match_the_best_of_them():
    sequence, targets = scene(counts=(3,), steps=1)
    sequence.mask_logits = (targets.masks[:, 2:3] * 2 - 1) * 50
    losses = SequenceCriterion(LossWeights())(sequence, targets)
    assert losses["loss_mask"].item() == pytest.approx(0.0, abs=1e-5)


def test_a_batch_without_objects_has_finite_losses_and_gradients_for_everything():
    sequence, targets = scene(counts=(0, 0), steps=1)
    losses = SequenceCriterion(LossWeights())(sequence, targets)
    assert set(losses) == {"loss_mask", "loss_box", "loss_class", "loss_stop"}
    sum(losses.values()).backward()
    assert losses["loss_mask"].item() == losses["loss_box"].item() == 0.0
    assert losses["loss_stop"].item() > 0
    assert torch.isfinite(sequence.mask_logits.grad).all()
