import pytest
import torch

from recseg_d2.models.dense_attention.windows import (
    cell_centres,
    place_maps,
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
