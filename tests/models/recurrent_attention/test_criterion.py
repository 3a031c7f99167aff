import pytest
import torch

from recseg_d2.losses.targets import build_targets
from recseg_d2.models.recurrent_attention.box_iou import BoxIoU
from recseg_d2.models.recurrent_attention.criterion import AttentionCriterion, AttentionLossWeights
from recseg_d2.models.recurrent_attention.losses import monotonic_score_loss
from recseg_d2.models.recurrent_attention.steps import AttentionSequence

SIZE = (4, 8)
BOX_IOU = BoxIoU(padding_ratio=0.0, min_padding=0.0)


def targets():
    """The first image has its left and its right half, the second nothing."""
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    masks[0, :, :4], masks[1, :, 4:] = True, True
    none = torch.zeros(0, *SIZE, dtype=torch.bool)
    return build_targets([masks, none], [torch.tensor([0, 2]), torch.zeros(0).long()], SIZE, 9)


def logits(*halves):
    """A map a step: "l" and "r" are on in that half, "-" nowhere."""
    maps = torch.full((len(halves), *SIZE), -40.0)
    for own, half in zip(maps, halves, strict=True):
        if half != "-":
            own[:, slice(0, 4) if half == "l" else slice(4, 8)] = 40.0
    return maps


def sequence(masks, boxes=None, class_logits=None):
    scores = torch.tensor([[2.0, 1.0, -1.0], [0.5, -2.0, 0.1]]).requires_grad_()
    masks = torch.stack([logits(*m) for m in masks]).requires_grad_()
    if boxes is not None:
        boxes = torch.stack([logits(*b) for b in boxes]).requires_grad_()
    corners = torch.rand(2, 3, 4)
    return AttentionSequence(masks, scores, class_logits, corners, {}, boxes)


def test_masks_and_boxes_have_matchings_of_their_own():
    found = sequence([("r", "l", "-"), ("-", "-", "-")], [("l", "l", "-"), ("-", "-", "-")])
    criterion = AttentionCriterion(AttentionLossWeights(), BOX_IOU)
    losses = criterion(found, targets())
    assert losses["loss_mask"].item() == pytest.approx(0, abs=1e-5)
    assert losses["loss_box"].item() == pytest.approx((1 - 1 / 2) / 2, abs=1e-5)
    is_found = torch.tensor([[True, True, False], [False, False, False]])
    expected = monotonic_score_loss(found.score_logits, is_found)
    assert losses["loss_score"].item() == pytest.approx(expected.item())
    assert "loss_class" not in losses


def test_boxes_stand_for_masks_in_the_box_stage():
    boxes = [("l", "r", "-"), ("-", "-", "-")]
    criterion = AttentionCriterion(AttentionLossWeights(), BOX_IOU, masks=False)
    losses = criterion(sequence(boxes, boxes), targets())
    assert set(losses) == {"loss_box", "loss_score"}
    assert losses["loss_box"].item() == pytest.approx(0, abs=1e-5)
    with pytest.raises(ValueError, match=r"MODEL\.RIS\.BOX_WEIGHT"):
        AttentionCriterion(AttentionLossWeights(box=0.0), BOX_IOU, masks=False)


def test_weights_scale_and_switch_off():
    found = sequence([("r", "-", "-"), ("-", "-", "-")], [("l", "-", "-"), ("-", "-", "-")])
    plain = AttentionCriterion(AttentionLossWeights(), BOX_IOU)(found, targets())
    weights = AttentionLossWeights(mask=3.0, box=0.0, score=2.0)
    losses = AttentionCriterion(weights, BOX_IOU)(found, targets())
    assert set(losses) == {"loss_mask", "loss_score"}
    assert losses["loss_mask"].item() == pytest.approx(3 * plain["loss_mask"].item())
    assert losses["loss_score"].item() == pytest.approx(2 * plain["loss_score"].item())


def test_classes_are_those_of_the_matched_objects():
    class_logits = torch.zeros(2, 3, 3)
    class_logits[0, 0, 2] = class_logits[0, 1, 0] = 50.0  # the right half is of class 2
    masks = [("r", "l", "-"), ("-", "-", "-")]
    criterion = AttentionCriterion(AttentionLossWeights(cls=1.0), BOX_IOU)
    losses = criterion(sequence(masks, masks, class_logits), targets())
    assert losses["loss_class"].item() == pytest.approx(0, abs=1e-5)


def test_without_box_network():
    found = sequence([("r", "l", "-"), ("-", "-", "-")])
    losses = AttentionCriterion(AttentionLossWeights(), BOX_IOU)(found, targets())
    assert set(losses) == {"loss_mask", "loss_score"}
    sum(losses.values()).backward()


def test_coordinates_measure_the_corners():
    masks = [("l", "r", "-"), ("-", "-", "-")]
    found = sequence(masks, [("-", "-", "-"), ("-", "-", "-")])
    found.boxes = torch.zeros(2, 3, 4)
    found.boxes[0, 0], found.boxes[0, 1] = (
        torch.tensor([0.0, 0.0, 0.5, 1.0]),
        torch.tensor([0.5, 0.0, 0.75, 1.0]),
    )
    box_iou = BoxIoU("coordinates", padding_ratio=0.0, min_padding=0.0)
    losses = AttentionCriterion(AttentionLossWeights(), box_iou)(found, targets())
    assert losses["loss_box"].item() == pytest.approx((1 - 1.5 / 2) / 2, abs=1e-5)
