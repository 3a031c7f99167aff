"""Boxes, masks, images and instances, on either Detectron2."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
import torch
from detectron2.structures import (
    BitMasks,
    Boxes,
    BoxMode,
    ImageList,
    Instances,
    PolygonMasks,
    pairwise_iou,
)
from detectron2.structures.masks import polygons_to_bitmask

SQUARE = [1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]


@pytest.mark.parametrize("make", [list, tuple, np.array, torch.tensor])
def test_box_mode_converts_both_ways_and_keeps_the_type(make):
    box = make([[1.0, 2.0, 3.0, 5.0]]) if make in (np.array, torch.tensor) else make([1, 2, 3, 5])
    before = copy.deepcopy(box)
    wh = BoxMode.convert(box, BoxMode.XYXY_ABS, BoxMode.XYWH_ABS)
    assert type(wh) is type(box)
    assert np.asarray(wh).reshape(-1).tolist() == [1, 2, 2, 3]
    back = BoxMode.convert(wh, BoxMode.XYWH_ABS, BoxMode.XYXY_ABS)
    assert np.asarray(back).reshape(-1).tolist() == [1, 2, 3, 5]
    assert np.array_equal(np.asarray(box), np.asarray(before))


def test_box_mode_is_an_int_in_the_standard_format():
    assert [int(mode) for mode in BoxMode] == [0, 1, 2, 3, 4]
    assert BoxMode.convert([1, 2, 3, 4], 0, 1) == [1, 2, 2, 2]
    same = [1.0, 2.0, 3.0, 4.0]
    assert BoxMode.convert(same, BoxMode.XYWH_ABS, BoxMode.XYWH_ABS) is same


def test_relative_boxes_are_refused():
    with pytest.raises((NotImplementedError, AssertionError)):
        BoxMode.convert([0.1, 0.1, 0.2, 0.2], BoxMode.XYXY_REL, BoxMode.XYXY_ABS)


def test_boxes_geometry():
    boxes = Boxes([[0, 0, 4, 2], [1, 1, 1, 5], [-3, -1, 20, 9]])
    assert boxes.tensor.dtype == torch.float32
    assert boxes.area().tolist() == [8, 0, 230]
    assert boxes.nonempty().tolist() == [True, False, True]
    assert boxes.nonempty(threshold=3).tolist() == [False, False, True]
    boxes.clip((6, 8))
    assert boxes.tensor[2].tolist() == [0, 0, 8, 6]
    boxes.scale(2, 0.5)
    assert boxes.tensor[0].tolist() == [0, 0, 8, 1]


def test_boxes_are_a_sequence():
    boxes = Boxes(torch.arange(12).reshape(3, 4))
    assert len(boxes[1]) == 1
    assert boxes[-1].tensor.tolist() == [[8, 9, 10, 11]]
    assert len(boxes[torch.tensor([True, False, True])]) == 2
    assert torch.equal(torch.stack(list(boxes)), boxes.tensor)
    assert len(Boxes.cat([boxes, boxes[:1]])) == 4
    copied = boxes.clone()
    copied.tensor += 1
    assert boxes.tensor[0, 0] == 0
    assert boxes.to("cpu").device == torch.device("cpu")


def test_no_boxes():
    assert Boxes([]).tensor.shape == (0, 4)
    assert Boxes.cat([]).tensor.shape == (0, 4)
    assert pairwise_iou(Boxes([]), Boxes([[0, 0, 1, 1]])).shape == (0, 1)


def test_boxes_of_a_wrong_shape_are_refused():
    with pytest.raises(AssertionError):
        Boxes(torch.zeros(2, 5))


def test_pairwise_iou_by_hand():
    one = Boxes([[0, 0, 2, 2], [5, 5, 5, 5]])
    two = Boxes([[1, 0, 3, 2], [0, 0, 2, 2], [7, 7, 9, 9]])
    expected = torch.tensor([[2 / 6, 1, 0], [0, 0, 0]])
    assert torch.allclose(pairwise_iou(one, two), expected)


def test_bitmask_boxes_are_tight():
    masks = torch.zeros(3, 5, 7)
    masks[0, 1:4, 2:6] = 1
    masks[1, 4, 6] = 1
    boxes = BitMasks(masks).get_bounding_boxes()
    assert boxes.tensor.tolist() == [[2, 1, 6, 4], [6, 4, 7, 5], [0, 0, 0, 0]]
    assert BitMasks(masks).nonempty().tolist() == [True, True, False]
    assert BitMasks(masks[:0]).get_bounding_boxes().tensor.shape == (0, 4)


def test_bitmasks_are_a_sequence():
    masks = BitMasks(np.eye(3)[:, None])
    assert masks.tensor.dtype == torch.bool
    assert tuple(masks.image_size) == (1, 3)
    assert len(masks[0]) == 1
    assert len(masks[1:]) == 2
    assert len(BitMasks.cat([masks, masks[torch.tensor([0, 2])]])) == 5
    assert [m.shape for m in masks] == [(1, 3)] * 3


def test_polygons_become_the_pixels_that_coco_gives_them():
    mask = polygons_to_bitmask([np.array(SQUARE)], 4, 5)
    expected = np.zeros((4, 5), bool)
    expected[1:3, 1:3] = True
    assert np.array_equal(mask, expected)
    assert not polygons_to_bitmask([], 4, 5).any()
    both = BitMasks.from_polygon_masks(PolygonMasks([[np.array(SQUARE)], []]), 4, 5)
    assert both.tensor.sum(dim=(1, 2)).tolist() == [4, 0]
    assert BitMasks.from_polygon_masks([], 4, 5).tensor.shape == (0, 4, 5)


def test_polygon_masks():
    masks = PolygonMasks([[SQUARE], [SQUARE, [0.0, 0.0, 4.0, 0.0, 4.0, 6.0]]])
    assert masks.area().tolist() == [4, 16]
    assert masks.get_bounding_boxes().tensor.tolist() == [[1, 1, 3, 3], [0, 0, 4, 6]]
    assert masks.polygons[0][0].dtype == np.float64
    assert len(masks[torch.tensor([False, True])].polygons[0]) == 2
    assert [len(masks[item]) for item in (0, slice(0, 2), [1], torch.tensor([1, 0]))] == [
        1,
        2,
        1,
        2,
    ]
    assert len(masks[[]]) == 0
    assert len(PolygonMasks.cat([masks, masks])) == 4
    assert masks.nonempty().tolist() == [True, True]


@pytest.mark.parametrize("polygons", ["text", [np.array(SQUARE)], [[[1.0, 2.0, 3.0, 4.0]]]])
def test_wrong_polygons_are_refused(polygons):
    with pytest.raises(ValueError, match=r"polygon|Polygon"):
        PolygonMasks(polygons)


def make_instances(count: int = 4) -> Instances:
    fields = {"scores": torch.arange(count), "names": [str(i) for i in range(count)]}
    return Instances((6, 8), boxes=Boxes(torch.rand(count, 4)), **fields)


def test_instances_index_every_field():
    instances = make_instances()
    del instances.get_fields()["names"]  # lists take no index vectors
    assert instances[2].scores.tolist() == [2]
    assert instances[-1].scores.tolist() == [3]
    chosen = instances[instances.scores > 1]
    assert len(chosen) == len(chosen.boxes) == 2
    assert chosen.image_size == (6, 8)
    with pytest.raises(IndexError):
        instances[4]


def test_instances_fields():
    instances = make_instances()
    assert instances.has("scores")
    assert "scores" in instances.get_fields()
    instances.remove("scores")
    with pytest.raises(AttributeError, match="scores"):
        _ = instances.scores
    with pytest.raises(AssertionError, match="length 3"):
        instances.extra = torch.zeros(3)
    assert "num_instances=4" in str(instances)
    with pytest.raises(NotImplementedError):
        len(Instances((1, 1)))
    with pytest.raises(NotImplementedError):
        iter(instances)


def test_instances_join_move_and_pickle():
    joined = Instances.cat([make_instances(2), make_instances(3)])
    assert joined.scores.tolist() == [0, 1, 0, 1, 2]
    assert joined.names == ["0", "1", "0", "1", "2"]
    assert len(joined.boxes) == 5
    assert joined.to("cpu").names == joined.names
    for copied in (pickle.loads(pickle.dumps(joined)), copy.deepcopy(joined)):
        assert torch.equal(copied.scores, joined.scores)
        assert copied.image_size == (6, 8)


def test_image_list_pads_right_and_below():
    images = [torch.ones(3, 4, 5), torch.ones(3, 2, 7)]
    padded = ImageList.from_tensors(images, size_divisibility=4, pad_value=9)
    assert padded.tensor.shape == (2, 3, 4, 8)
    assert [tuple(size) for size in padded.image_sizes] == [(4, 5), (2, 7)]
    assert torch.equal(padded[1], images[1])
    assert (padded.tensor[1, :, 2:] == 9).all()
    assert len(padded.to(torch.float64)) == 2
