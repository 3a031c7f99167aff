import pytest
import torch
from reference import instance_fcn_literal as literal

from recseg_d2.layers import assembling
from recseg_d2.layers.assembling import OUTSIDE_LOGIT, assemble, gather_windows, part_index

CASES = [(k, m) for k in (1, 3, 5, 7) for m in (14, 21)]


def maps_and_windows(k, height=9, width=12, images=2):
    generator = torch.Generator().manual_seed(k)
    maps = torch.randn(images, k * k, height, width, generator=generator)
    ranges = [torch.arange(images), torch.arange(-1, height + 1, 3), torch.arange(0, width, 4)]
    return maps, torch.cartesian_prod(*ranges)


@pytest.mark.parametrize(("k", "m"), CASES)
def test_equals_the_literal_loop_bit_for_bit(k, m):
    maps, windows = maps_and_windows(k)
    expected = literal.assemble(maps, windows, m, OUTSIDE_LOGIT)
    assert torch.equal(assemble(maps, windows, m), expected)
    assert (expected == OUTSIDE_LOGIT).any()
    assert (expected != OUTSIDE_LOGIT).any()


@pytest.mark.parametrize(("k", "m"), CASES)
def test_a_window_inside_the_maps_copies_cells_only(k, m):
    maps, _ = maps_and_windows(k, height=30, width=40)
    windows = torch.tensor([[1, 12, 20], [0, 14, 15]])
    result = assemble(maps, windows, m)
    assert torch.equal(result, literal.assemble(maps, windows, m, OUTSIDE_LOGIT))
    assert (result != OUTSIDE_LOGIT).all()


def test_parts_of_21_cells_in_5():
    assert part_index(5, 21).bincount().tolist() == [5, 4, 4, 4, 4]
    assert part_index(3, 21).bincount().tolist() == [7, 7, 7]
    assert part_index(3, 14).bincount().tolist() == [5, 5, 4]


def test_by_hand():
    """k = 2, m = 3: rows and columns 0, 1 are of part 0, row and column 2 of part 1."""
    maps = torch.arange(36.0).view(1, 4, 3, 3)
    (window,) = assemble(maps, torch.tensor([[0, 0, 1]]), 3, outside=-1)
    assert window.tolist() == [[-1, -1, -1], [0, 1, 11], [21, 22, 32]]


def test_chunks_change_nothing(monkeypatch):
    maps, windows = maps_and_windows(3)
    whole = assemble(maps, windows, 14)
    monkeypatch.setattr(assembling, "CELLS_AT_ONCE", 500)
    assert torch.equal(assemble(maps, windows, 14), whole)


def test_memory_beyond_the_result_does_not_grow_with_the_windows(monkeypatch):
    seen = []
    chunk = assembling._gather_chunk
    monkeypatch.setattr(assembling, "CELLS_AT_ONCE", 1000)
    monkeypatch.setattr(
        assembling,
        "_gather_chunk",
        lambda maps, corners, *rest: (seen.append(len(corners)), chunk(maps, corners, *rest))[1],
    )
    maps, windows = maps_and_windows(3)
    assemble(maps, windows, 14)
    assert sum(seen) == len(windows)
    assert max(seen) * 14 * 14 <= 1000


def test_no_window():
    maps, windows = maps_and_windows(3)
    assert assemble(maps, windows[:0], 21).shape == (0, 21, 21)


@pytest.mark.parametrize(("k", "m"), [(1, 4), (3, 5), (3, 7)])
def test_gradients(k, m):
    maps = torch.randn(2, k * k, 4, 5, dtype=torch.float64, requires_grad=True)
    windows = torch.tensor([[0, 0, 0], [1, 2, 2], [1, 3, 4], [1, 3, 4]])
    assert torch.autograd.gradcheck(lambda x: assemble(x, windows, m), (maps,))


def test_gradient_counts_the_copies():
    maps = torch.zeros(1, 9, 8, 8, requires_grad=True)
    windows = torch.tensor([[0, r, c] for r in range(8) for c in range(8)])
    assemble(maps, windows, 7).sum().backward()
    copies = (literal.assemble(torch.ones(1, 9, 8, 8), windows, 7, 0.0)).sum()
    assert maps.grad.sum() == copies


def test_a_number_of_channels_that_is_no_square_is_refused():
    with pytest.raises(ValueError, match="5 channels"):
        assemble(torch.zeros(1, 5, 4, 4), torch.zeros(1, 3, dtype=torch.int64), 3)


def test_gathering_whole_windows_of_several_channels():
    maps = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    channels = torch.arange(3)[:, None, None].expand(3, 2, 2)
    result = gather_windows(maps, torch.tensor([[1, 1, 2], [0, 3, -1]]), channels)
    assert torch.equal(result[0], maps[1, :, 1:3, 2:4])
    assert torch.equal(result[1, :, 0, 1], maps[0, :, 3, 0])
    assert result[1, :, :, 0].abs().sum() == 0
    assert result[1, :, 1].abs().sum() == 0
