import math

import numpy as np
import pytest
import torch

from recseg_d2.models.dense_attention.windows import (
    PooledMaps,
    cell_centres,
    place_maps,
    read_windows,
    windows_around,
    write_window,
)


def test_windows_are_centred_squares_with_whole_numbers():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 28.0], [0.0, 0.0, 1.0, 1.0]])
    windows = windows_around(boxes, context=1.5, margin=4.0)
    assert windows[0].tolist() == [20 - 17, 24 - 17, 34]  # 1.5 * 20 + 4
    assert windows[1, 2] == 8  # never smaller


def test_cell_centres():
    x, y = cell_centres(torch.tensor([[2.0, 10.0, 8.0]]), 4)
    assert x[0].tolist() == [3, 5, 7, 9]
    assert y[0].tolist() == [11, 13, 15, 17]


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


def test_no_windows():
    assert read_windows(torch.zeros(1, 5, 8, 8), torch.zeros(0, 3), 4).shape == (0, 5, 4, 4)


def test_place_and_box_are_where_they_should_be():
    windows = torch.tensor([[0.0, 0.0, 28.0]])
    maps = place_maps(
        windows, torch.tensor([[10.5, 18.5]]), torch.tensor([[2.0, 10.0, 18.0, 26.0]]), 28
    )
    assert divmod(int(maps[0, 0].argmax()), 28) == (18, 10)
    assert maps[0, 0].max() == pytest.approx(1.0)
    assert maps[0, 1, 18, 10] > 0.6
    assert maps[0, 1, 2, 25] < 0.01


def test_written_pixels_are_bilinear_and_clipped():
    values = torch.arange(16.0).view(4, 4)
    rows, columns, pixels = write_window(values, [-2, 3, 8], (9, 5))
    assert (rows, columns) == (slice(3, 9), slice(0, 5))
    whole = torch.nn.functional.interpolate(values[None, None], (8, 8), mode="bilinear")[0, 0]
    torch.testing.assert_close(pixels, whole[:6, 2:7])


def test_a_window_outside_of_the_image_has_no_pixels():
    assert write_window(torch.zeros(4, 4), [20, 0, 8], (16, 16)) is None
    assert write_window(torch.zeros(4, 4), [-8, 0, 8], (16, 16)) is None


def test_reading_what_was_written_gives_it_back():
    values = torch.rand(8, 8)
    _, _, pixels = write_window(values, [0, 0, 8], (8, 8))
    torch.testing.assert_close(pixels, values)
    read = read_windows(pixels[None, None], torch.tensor([[0.0, 0.0, 8.0]]), 8)
    torch.testing.assert_close(read[0, 0], values)
