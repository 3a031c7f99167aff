import math

import pytest
import torch
from torch.autograd import gradcheck

from recseg_d2.losses.targets import build_targets
from recseg_d2.models.recurrent_attention.box_iou import (
    REACH,
    BoxIoU,
    corner_iou_matrix,
    wasserstein_matrix,
)


def targets_of(*boxes, size=(8, 10)):
    """One image with boxes given as rows and columns, (y1, y2, x1, x2), last one excluded."""
    masks = torch.zeros(len(boxes), *size, dtype=torch.bool)
    for mask, (y1, y2, x1, x2) in zip(masks, boxes, strict=True):
        mask[y1:y2, x1:x2] = True
    return build_targets([masks], [torch.zeros(len(boxes)).long()], size, max_objects=9)


def test_corner_iou_by_hand():
    predicted = torch.tensor([[[0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 6.0]]])
    targets = torch.tensor([[[1.0, 0.0, 3.0, 2.0], [0.0, 0.0, 0.0, 0.0]]])
    table = corner_iou_matrix(predicted, targets)
    assert table.shape == (1, 2, 2)
    assert table[0].tolist() == [[pytest.approx(1 / 3), 0.0], [0.0, 0.0]]


def test_padded_maps():
    padded = BoxIoU(padding_ratio=0.5, min_padding=1.0).pad(targets_of((3, 5, 4, 8), (0, 1, 0, 1)))
    assert padded.corners[0].tolist() == [[2.0, 2.0, 10.0, 6.0], [-1.0, -1.0, 2.0, 2.0]]
    assert padded.maps[0, 0].sum() == 4 * 8
    assert padded.maps[0, 1].sum() == 4  # two by two of it lie in the image


def test_gaussian_iou_compares_maps():
    box_iou = BoxIoU(padding_ratio=0.0, min_padding=0.0)
    padded = box_iou.pad(targets_of((0, 4, 0, 10)))
    logits = torch.full((1, 1, 8, 10), -40.0)
    logits[0, 0, 2:4] = 40.0
    table = box_iou.matrix(logits, torch.zeros(1, 1, 4), padded)
    assert table.item() == pytest.approx(0.5)


def test_coordinate_iou_ignores_maps():
    box_iou = BoxIoU("coordinates", padding_ratio=0.0, min_padding=0.0)
    padded = box_iou.pad(targets_of((0, 4, 0, 10)))
    corners = torch.tensor([[[0.0, 2.0, 10.0, 4.0]]])
    assert box_iou.matrix(torch.zeros(1, 1, 8, 10), corners, padded).item() == pytest.approx(0.5)


def test_wasserstein_by_hand():
    predicted = torch.tensor([[[0.0, 0.0, 4.0, 2.0]]])
    targets = torch.tensor([[[3.0, 4.0, 7.0, 6.0], [0.0, 0.0, 4.0, 2.0], [-3.0, -3.0, 7.0, 5.0]]])
    near = wasserstein_matrix(predicted, targets, reach=10.0)[0, 0]
    assert near[0].item() == pytest.approx(math.exp(-0.5))  # centres 3 and 4 apart, same size
    assert near[1].item() == pytest.approx(1.0, abs=1e-3)
    # same centre, half sides differ by 3 and 3
    assert near[2].item() == pytest.approx(math.exp(-math.sqrt(18) / 10))


def test_wasserstein_reaches_across_the_image():
    box_iou = BoxIoU("wasserstein", padding_ratio=0.0, min_padding=0.0)
    padded = box_iou.pad(targets_of((0, 2, 0, 2), (6, 8, 0, 2)))
    corners = torch.tensor([[[8.0, 0.0, 10.0, 2.0]]], requires_grad=True)
    table = box_iou.matrix(torch.zeros(1, 1, 8, 10), corners, padded)[0, 0]
    reach = REACH * math.sqrt(80)
    assert table.tolist() == pytest.approx([math.exp(-8 / reach), math.exp(-10 / reach)], rel=1e-4)
    table[0].backward()
    assert corners.grad[0, 0, 0] < 0  # nearer when it moves left
    assert corners.grad[0, 0, 2] < 0


@pytest.mark.parametrize("measure", ["gaussian", "coordinates", "wasserstein"])
def test_no_objects(measure):
    box_iou = BoxIoU(measure)
    padded = box_iou.pad(targets_of())
    assert padded.maps.sum() == 0
    assert box_iou.matrix(torch.zeros(1, 2, 8, 10), torch.rand(1, 2, 4), padded).shape == (1, 2, 1)


def test_gradients():
    padded = BoxIoU(min_padding=1.0).pad(targets_of((1, 5, 2, 6), (0, 2, 7, 10)))
    maps = type(padded)(padded.corners.double(), padded.maps.double())
    torch.manual_seed(0)
    logits = torch.randn(1, 2, 8, 10, dtype=torch.float64, requires_grad=True)
    corners = torch.tensor([[[1.0, 1.2, 6.3, 7.0], [5.1, 0.2, 9.0, 3.3]]], dtype=torch.float64)
    corners.requires_grad_()
    assert gradcheck(lambda x: BoxIoU().matrix(x, corners, maps), (logits,))
    for measure in ("coordinates", "wasserstein"):
        iou = BoxIoU(measure)
        assert gradcheck(lambda x, iou=iou: iou.matrix(logits, x, maps), (corners,))


def test_unknown_measure():
    with pytest.raises(ValueError, match=r"'hard'; expected one of .*BOX_IOU"):
        BoxIoU("hard")
