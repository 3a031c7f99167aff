import math

import numpy as np
import pytest
import torch

from recseg_d2.models.dense_attention.window_reading import PooledMaps, read_windows
from recseg_d2.models.dense_attention.windows import cell_centres, write_window


def literal_value(pixels: np.ndarray, x: float, y: float) -> float:
    """Bilinear, pixel centres at half numbers, zero outside."""
    total = 0.0
    left, top = math.floor(x - 0.5), math.floor(y - 0.5)
    for v in (top, top + 1):
        for u in (left, left + 1):
            if 0 <= v < pixels.shape[0] and 0 <= u < pixels.shape[1]:
                weight = (1 - abs(x - 0.5 - u)) * (1 - abs(y - 0.5 - v))
                total += weight * pixels[v, u]
    return total


@pytest.mark.parametrize("stride", [1, 2])
def test_small_windows_are_read_bilinearly(stride):
    rng = np.random.default_rng(0)
    maps = rng.normal(size=(1, 3, 10, 12))
    windows = torch.tensor([[-3.0, 2.0, 9.0], [5.0, 1.0, 12.0]], dtype=torch.float64)
    cells = 12
    found = read_windows(torch.from_numpy(maps), windows, cells, stride)
    x, y = cell_centres(windows, cells)
    for k in range(2):
        for row in range(cells):
            for column in range(cells):
                at = float(x[k, column]) / stride, float(y[k, row]) / stride
                for c in range(3):
                    expected = literal_value(maps[0, c], *at)
                    assert found[k, c, row, column] == pytest.approx(expected, abs=1e-9)


def test_large_windows_are_averaged_before_they_are_read():
    maps = torch.zeros(1, 1, 64, 64)
    maps[0, 0, :, 31] = 1  # a line that point samples at every fourth pixel may miss
    found = read_windows(maps, torch.tensor([[0.0, 0.0, 64.0]]), 16)
    assert found.sum() == pytest.approx(64 / 16, rel=1e-5)  # 64 pixels, 16 to a cell
    assert found[0, 0, 5].tolist() == [0] * 7 + [0.25] + [0] * 8


def test_pooled_maps_are_read_like_maps_and_pooled_once():
    torch.manual_seed(0)
    maps = torch.rand(1, 3, 50, 70)
    windows = torch.tensor([[0.0, 0.0, 16.0], [5.0, -3.0, 40.0], [10.0, 20.0, 33.0]])
    pooled = PooledMaps(maps)
    assert torch.equal(read_windows(pooled, windows, 8), read_windows(maps, windows, 8))
    assert sorted(pooled.octaves) == [0, 1, 2]
    assert pooled.octave(2) is pooled.octaves[2]


def test_each_window_may_have_a_map_of_its_own():
    maps = torch.arange(3.0).view(3, 1, 1, 1).expand(3, 1, 32, 32)
    windows = torch.tensor([[4.0, 4.0, 8.0], [4.0, 4.0, 20.0], [8.0, 8.0, 8.0]])
    assert read_windows(maps, windows, 8).mean((1, 2, 3)).tolist() == [0, 1, 2]


def test_windows_of_several_images_are_read_as_one_by_one():
    torch.manual_seed(0)
    maps = torch.rand(3, 2, 40, 60)
    owners = [2, 0, 2, 2, 0]  # and none of the second image
    corners, sides = torch.rand(5, 2) * 40 - 5, torch.tensor([8.0, 20.0, 30.0, 9.0, 70.0])
    windows = torch.cat([corners.round(), sides[:, None]], dim=1)
    found = read_windows(maps, windows, 8, owners=owners)
    for k, owner in enumerate(owners):
        expected = read_windows(maps[owner : owner + 1], windows[k : k + 1], 8)
        torch.testing.assert_close(found[k], expected[0])


def test_gradients_go_to_the_image_that_was_read():
    maps = torch.rand(3, 1, 16, 16, requires_grad=True)
    windows = torch.tensor([[0.0, 0.0, 8.0], [4.0, 4.0, 8.0], [0.0, 0.0, 8.0]])
    found = read_windows(maps, windows, 8, owners=[2, 0, 2])
    (found * torch.tensor([1.0, 10.0, 100.0]).view(3, 1, 1, 1)).sum().backward()
    assert maps.grad[1].abs().max() == 0
    assert maps.grad[0].sum() == pytest.approx(640)
    assert maps.grad[2].sum() == pytest.approx(64 * 101)


def test_no_windows_of_several_images():
    nothing = read_windows(torch.zeros(3, 5, 8, 8), torch.zeros(0, 3), 4, owners=[])
    assert nothing.shape == (0, 5, 4, 4)


def test_no_windows():
    assert read_windows(torch.zeros(1, 5, 8, 8), torch.zeros(0, 3), 4).shape == (0, 5, 4, 4)


def test_reading_what_was_written_gives_it_back():
    values = torch.rand(8, 8)
    _, _, pixels = write_window(values, [0, 0, 8], (8, 8))
    torch.testing.assert_close(pixels, values)
    read = read_windows(pixels[None, None], torch.tensor([[0.0, 0.0, 8.0]]), 8)
    torch.testing.assert_close(read[0, 0], values)
