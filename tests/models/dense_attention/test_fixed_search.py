"""The search as a fixed number of looks finds what the search finds."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from recseg_d2.layers.residual_encoder import ResidualEncoder, ResidualEncoderOptions
from recseg_d2.models.dense_attention.fixed_search import FixedSearch
from recseg_d2.models.dense_attention.model import DenseAttention
from recseg_d2.models.dense_attention.options import NetworkOptions, SearchOptions
from recseg_d2.models.dense_attention.search import Search
from recseg_d2.models.dense_attention.window_reading import Pyramid, read_pyramid, read_windows
from recseg_d2.models.dense_attention.windows import paint_window, write_window

OPTIONS = SearchOptions(heat_thresh=0.3, score_thresh=0.4, min_area=6, looks_per_round=1)
LOOKS = 8


def model_of(seed, classes=1):
    """Random weights, of which most looks find something."""
    torch.manual_seed(seed)
    encoder = ResidualEncoder(ResidualEncoderOptions((8, 8, 12, 12)), 3)
    sizes = NetworkOptions(
        log_contrast=0, coarse_width=8, head_width=8, window_widths=(8, 8, 8), cells=16
    )
    model = DenseAttention(encoder, encoder.widths, sizes, 3, classes)
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    with torch.no_grad():
        model.heat.out[-1].bias += 2
        model.box[-1].bias -= 1.0
    return model.eval()


def image_of(seed, size):
    return torch.randn(3, *size, generator=torch.Generator().manual_seed(seed))


def searched(model, image, options=OPTIONS):
    """A search of as many looks, and whether it went on at each of them."""
    search = Search(model, image, options)
    return search, [search.step() for _ in range(LOOKS)]


def check_the_same(model, image, options=OPTIONS):
    expected = searched(model, image, options)[0].drawing.found(options.min_area)
    size = (image.shape[1], image.shape[2])
    with torch.no_grad():
        labels, scores, *classes = FixedSearch(model, options, size, LOOKS)(image)
    np.testing.assert_array_equal(labels.numpy(), expected.labels.numpy())
    count = len(expected.scores)
    torch.testing.assert_close(scores[:count], expected.scores, rtol=0, atol=1e-5)
    assert (scores[count:] == 0).all()
    assert len(classes) == (model.window.cls is not None)
    if expected.classes is not None:
        torch.testing.assert_close(classes[0][:count], expected.classes, rtol=0, atol=1e-5)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("size", [(40, 56), (37, 51)])
def test_it_finds_what_the_search_finds(seed, size):
    check_the_same(model_of(seed, 1 + 2 * (seed % 2)), image_of(seed, size))


def test_the_cases_have_looks_that_find_something_and_looks_that_do_not():
    looks = [
        look
        for seed in range(2)
        for look in searched(model_of(seed, 1 + 2 * seed), image_of(seed, (40, 56)))[0].result.looks
    ]
    assert sum(look.found >= 0 for look in looks) >= 3
    assert sum(look.found < 0 for look in looks) >= 3


def test_looks_after_the_end_of_a_search_find_nothing():
    model, image = model_of(1, 3), image_of(1, (40, 56))
    heats = sorted(look.heat for look in searched(model, image)[0].result.looks)
    options = dataclasses.replace(OPTIONS, heat_thresh=heats[len(heats) // 2])
    goes_on = searched(model, image, options)[1]
    assert goes_on[0]
    assert not goes_on[-1]
    check_the_same(model, image, options)


def test_no_more_objects_are_kept_than_wanted():
    options = dataclasses.replace(OPTIONS, max_objects=LOOKS // 2)
    check_the_same(model_of(1, 3), image_of(1, (40, 56)), options)


@pytest.mark.parametrize("side", [8, 15, 16, 31, 32, 63, 64, 128, 700])
@pytest.mark.parametrize("stride", [1, 2])
def test_windows_are_read_as_by_octaves(side, stride):
    maps = torch.rand(1, 3, 40 // stride, 64 // stride)
    window = torch.tensor([[5.0, -7.0, float(side)]])
    expected = read_windows(maps, window, 16, stride)
    pyramid = Pyramid(maps, stride, 16, 700)
    torch.testing.assert_close(read_pyramid(pyramid, window), expected)


@pytest.mark.parametrize("window", [(3, 4, 9), (-5, 30, 20), (0, 0, 64), (-40, -30, 200)])
def test_windows_are_written_into_whole_images(window):
    values, size = torch.rand(16, 16), (40, 64)
    rows, columns, part = write_window(values, list(window), size)
    expected = torch.zeros(size)
    expected[rows, columns] = part
    found = paint_window(values, torch.tensor(window, dtype=torch.float32), size)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert paint_window(values, torch.tensor([90.0, 3, 9]), size).sum() == 0
