import numpy as np
import pytest
import torch

from recseg_d2.structures import LabelMapMasks


@pytest.fixture
def labels():
    result = torch.zeros(6, 8, dtype=torch.int32)
    result[1:3, 2:5], result[4:6, 0:2], result[0, 7] = 4, 2, 9
    return result


def test_it_is_the_tensor_it_stands_for(labels):
    masks = LabelMapMasks(labels, torch.tensor([2, 4, 7]))
    expected = torch.stack([labels == 2, labels == 4, labels == 7])
    assert len(masks) == 3
    assert masks.shape == expected.shape
    assert torch.equal(masks.tensor, expected)
    assert torch.equal(torch.stack(list(masks)), expected)
    assert torch.equal(masks[1], expected[1])
    np.testing.assert_array_equal(np.asarray(masks), expected.numpy())
    np.testing.assert_array_equal(np.asarray(masks, dtype=np.uint8), expected.numpy().astype("u1"))


@pytest.mark.parametrize(
    "index", [slice(1, 3), [2, 0], torch.tensor([True, False, True]), torch.tensor([1])]
)
def test_some_of_the_masks(labels, index):
    masks = LabelMapMasks(labels, torch.tensor([2, 4, 7]))
    assert torch.equal(masks[index].tensor, masks.tensor[index])


def test_areas_and_boxes_are_those_of_the_masks(labels):
    masks = LabelMapMasks(labels, torch.tensor([4, 2, 7]))
    assert masks.areas().tolist() == [6, 4, 0]
    assert masks.boxes().tolist() == [[2, 1, 5, 3], [0, 4, 2, 6], [0, 0, 0, 0]]


def test_label_map_is_renumbered_and_has_no_other_labels(labels):
    found = LabelMapMasks(labels, torch.tensor([4, 2])).label_map()
    assert found[1, 2] == 1
    assert found[4, 0] == 2
    assert found[0, 7] == 0


def test_no_masks(labels):
    masks = LabelMapMasks(labels, torch.zeros(0, dtype=torch.int64))
    assert masks.shape == (0, 6, 8)
    assert masks.tensor.shape == (0, 6, 8)
    assert masks.boxes().shape == (0, 4)
    assert masks.areas().tolist() == []
    assert not masks.label_map().any()


def test_it_moves(labels):
    masks = LabelMapMasks(labels, torch.tensor([4]))
    assert masks.to("cpu").device.type == "cpu"
    assert masks.to(torch.device("cpu")).tensor.sum() == 6
    assert masks.cpu().tensor.sum() == 6


def test_instances_take_it(labels):
    from detectron2.structures import Instances

    import recseg_d2  # noqa: F401

    instances = Instances((6, 8), pred_masks=LabelMapMasks(labels, torch.tensor([4, 2, 9])))
    chosen = instances[torch.tensor([False, True, True])].to("cpu")
    assert torch.equal(chosen.pred_masks.tensor, torch.stack([labels == 2, labels == 9]))
