import numpy as np
import torch
import torch.nn.functional as F

from recseg_d2.models.dense_attention.canvas import block_means, canvas_channels, shrink_canvas


def literal_channels(labels: np.ndarray) -> np.ndarray:
    height, width = labels.shape
    result = np.zeros((2, height, width))
    for y in range(height):
        for x in range(width):
            if labels[y, x] == 0:
                continue
            result[0, y, x] = 1
            for dy, dx in ((1, 0), (-1, 0), (0, 1), (0, -1)):
                v, u = y + dy, x + dx
                if 0 <= v < height and 0 <= u < width and labels[v, u] != labels[y, x]:
                    result[1, y, x] = 1
    return result


def test_channels_equal_the_literal_ones():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.integers(0, 3, (4, 5)), np.ones((3, 3), int))
    found = canvas_channels(torch.from_numpy(labels)[None])
    np.testing.assert_array_equal(found[0].numpy(), literal_channels(labels))


def test_two_touching_objects_have_a_border_and_one_over_both_has_none():
    two, one = torch.zeros(1, 4, 6, dtype=torch.int32), torch.zeros(1, 4, 6, dtype=torch.int32)
    two[0, :, :3], two[0, :, 3:] = 1, 2
    one[:] = 1
    assert canvas_channels(two)[0, 1, 1].tolist() == [0, 0, 1, 1, 0, 0]
    assert canvas_channels(one)[0, 1].sum() == 0


def test_known_objects_are_taken_whatever_their_sign():
    labels = torch.tensor([[[0, -3, -3, 2]]])
    assert canvas_channels(labels)[0].tolist() == [[[0, 1, 1, 1]], [[0, 1, 1, 1]]]


def test_shrunk_canvas_holds_means_and_maxima():
    channels = torch.zeros(1, 2, 2, 4)
    channels[0, 0, 0, 0] = 1
    channels[0, 1, :, 2:] = 1
    shrunk = shrink_canvas(channels)
    assert shrunk[0, :, 0].tolist() == [[0.25, 0], [0, 1], [1, 0], [0, 1]]


def test_shrunk_canvas_equals_pooling():
    torch.manual_seed(0)
    channels = (torch.rand(2, 2, 16, 24) < 0.3).float()
    pooled = [F.avg_pool2d(channels, 2), F.max_pool2d(channels, 2)]
    assert torch.equal(shrink_canvas(channels), torch.cat(pooled, dim=1))


def test_block_means_equal_average_pooling():
    maps = torch.arange(2 * 3 * 8 * 12.0).reshape(2, 3, 8, 12)  # whole numbers: sums are exact
    for factor in (1, 2, 4):
        assert torch.equal(block_means(maps, factor), F.avg_pool2d(maps, factor))
