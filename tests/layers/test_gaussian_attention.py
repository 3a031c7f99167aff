import math

import pytest
import torch
from torch.autograd import gradcheck

from recseg_d2.layers.gaussian_attention import (
    axis_filters,
    filter_means,
    gaussian_filters,
    read_patch,
    rows_first,
    write_ones,
    write_patch,
)

IMAGE, PATCH = (7, 9), (4, 3)


def pairs(*rows):
    return torch.tensor(rows, dtype=torch.float64)


WINDOWS = {
    "inside": ((3.0, 4.0), (3.0, 5.0)),
    "fractional": ((2.3, 5.9), (1.7, 4.4)),
    "partly outside": ((0.0, 8.0), (6.0, 6.0)),
    "wholly outside": ((-30.0, 40.0), (3.0, 3.0)),
    "larger than the image": ((3.0, 4.0), (40.0, 60.0)),
    "one pixel": ((3.0, 4.0), (0.0, 0.0)),
}


def literal_filters(centre, size, log_variance, patch, image):
    """Eq. 11 to 14, an entry at a time: F[b][axis][a][i], as the paper indexes them."""
    result = []
    for b in range(len(centre)):
        axes = []
        for axis in (0, 1):
            sigma = math.exp(float(log_variance[b, axis]) / 2)
            table = torch.zeros(image[axis], patch[axis], dtype=torch.float64)
            for a in range(image[axis]):
                for i in range(patch[axis]):
                    mu = (
                        float(centre[b, axis])
                        + (float(size[b, axis]) + 1) * (i - patch[axis] / 2 + 0.5) / patch[axis]
                    )
                    density = math.exp(-((a - mu) ** 2) / (2 * sigma**2))
                    table[a, i] = density / (math.sqrt(2 * math.pi) * sigma)
            axes.append(table)
        result.append(axes)
    return result


def literal_read(image, table_y, table_x):
    """Eq. 16 as sums: p[c, j, i] = sum over b and a of F_Y[b, j] x[c, b, a] F_X[a, i]."""
    channels, height, width = image.shape
    patch = torch.zeros(channels, table_y.shape[1], table_x.shape[1], dtype=torch.float64)
    for j in range(table_y.shape[1]):
        for i in range(table_x.shape[1]):
            for b in range(height):
                for a in range(width):
                    patch[:, j, i] += table_y[b, j] * image[:, b, a] * table_x[a, i]
    return patch


def literal_write(patch, table_y, table_x):
    image = torch.zeros(table_y.shape[0], table_x.shape[0], dtype=torch.float64)
    for b in range(image.shape[0]):
        for a in range(image.shape[1]):
            for j in range(patch.shape[0]):
                for i in range(patch.shape[1]):
                    image[b, a] += table_y[b, j] * patch[j, i] * table_x[a, i]
    return image


def test_means_by_hand():
    # size + 1 = 4 pixels around 5 in 4 places: a pixel each, 3.5 4.5 5.5 6.5
    means = filter_means(torch.tensor([5.0]), torch.tensor([3.0]), 4)
    assert means.tolist() == [[3.5, 4.5, 5.5, 6.5]]
    odd = filter_means(torch.tensor([5.0]), torch.tensor([2.0]), 3)
    assert odd.tolist() == [[4.0, 5.0, 6.0]]  # the pixels 4, 5 and 6 themselves


def test_density_by_hand():
    filters = axis_filters(torch.tensor([[1.0]]), torch.tensor([math.log(4.0)]), 4)
    peak = 1 / (2 * math.sqrt(2 * math.pi))
    expected = [peak * math.exp(-(d**2) / 8) for d in (1, 0, 1, 2)]
    assert filters[0, 0].tolist() == pytest.approx(expected)


@pytest.mark.parametrize("name", WINDOWS)
def test_equals_the_papers_sums(name):
    centre, size = (pairs(values, (3.0, 4.0)) for values in WINDOWS[name])
    log_variance = pairs((-0.5, 0.3), (0.0, -1.0))
    filters = gaussian_filters(centre, size, log_variance, PATCH, IMAGE)
    torch.manual_seed(0)
    image = torch.randn(2, 2, *IMAGE, dtype=torch.float64)
    patch = torch.randn(2, *PATCH, dtype=torch.float64)
    tables = literal_filters(centre, size, log_variance, PATCH, IMAGE)
    read, written = read_patch(rows_first(image), filters), write_patch(patch, filters)
    ones = write_ones(filters)
    for b, (y, x) in enumerate(tables):
        torch.testing.assert_close(filters.y[b], y.T)
        torch.testing.assert_close(filters.x[b], x.T)
        torch.testing.assert_close(read[b], literal_read(image[b], y, x))
        torch.testing.assert_close(written[b], literal_write(patch[b], y, x))
        flat = torch.ones(PATCH, dtype=torch.float64)
        torch.testing.assert_close(ones[b], literal_write(flat, y, x))


def test_a_window_outside_reads_and_writes_nothing():
    filters = gaussian_filters(pairs((-50.0, 4.0)), pairs((3.0, 3.0)), pairs((0.0, 0.0)), *SIZES)
    assert read_patch(rows_first(torch.ones(1, 1, *IMAGE, dtype=torch.float64)), filters).sum() == 0
    assert write_ones(filters).sum() == 0


SIZES = (PATCH, IMAGE)


def test_sharp_filters_on_whole_pixels_copy_the_crop():
    # one place a pixel, and a variance at which the density at the pixel is 1: 1 / (2 pi)
    log_variance = torch.full((1, 2), -math.log(2 * math.pi), dtype=torch.float64)
    filters = gaussian_filters(pairs((3.0, 4.0)), pairs((2.0, 2.0)), log_variance, (3, 3), IMAGE)
    image = torch.arange(63, dtype=torch.float64).view(1, 1, *IMAGE)
    crop = read_patch(rows_first(image), filters)[0, 0]
    # a neighbour at distance 1 weighs exp(-pi) = 0.043, on either side
    kernel = 1 + 2 * math.exp(-math.pi)
    torch.testing.assert_close(crop / kernel**2, image[0, 0, 2:5, 3:6], rtol=1e-3, atol=1e-2)


def test_writing_is_the_transpose_of_reading():
    torch.manual_seed(0)
    filters = gaussian_filters(pairs((1.0, 7.0)), pairs((4.0, 6.0)), pairs((0.3, 0.1)), *SIZES)
    image = torch.randn(1, 1, *IMAGE, dtype=torch.float64)
    patch = torch.randn(1, *PATCH, dtype=torch.float64)
    forth = (read_patch(rows_first(image), filters)[:, 0] * patch).sum()
    back = (image[:, 0] * write_patch(patch, filters)).sum()
    torch.testing.assert_close(forth, back)


@pytest.mark.parametrize("name", ["inside", "partly outside", "one pixel"])
def test_gradients(name):
    centre, size = (pairs(values).requires_grad_() for values in WINDOWS[name])
    log_variance = pairs((0.2, -0.1)).requires_grad_()
    torch.manual_seed(0)
    image = torch.randn(1, 2, *IMAGE, dtype=torch.float64, requires_grad=True)
    patch = torch.randn(1, *PATCH, dtype=torch.float64, requires_grad=True)

    def everything(centre, size, log_variance, image, patch):
        filters = gaussian_filters(centre, size, log_variance, PATCH, IMAGE)
        read = read_patch(rows_first(image), filters)
        return read, write_patch(patch, filters), write_ones(filters)

    assert gradcheck(everything, (centre, size, log_variance, image, patch))
