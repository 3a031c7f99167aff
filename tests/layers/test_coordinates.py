import torch

from recseg_d2.layers.coordinates import append_coordinates, coordinate_maps


def test_values_by_hand():
    maps = coordinate_maps((2, 4), torch.zeros(1))
    assert maps.shape == (1, 3, 2, 4)
    torch.testing.assert_close(maps[0, 0, :, 0], torch.tensor([-0.5, 0.5]))
    torch.testing.assert_close(maps[0, 1, 0], torch.tensor([-0.75, -0.25, 0.25, 0.75]))
    torch.testing.assert_close(maps[0, 2, 0, 0], torch.tensor((0.5**2 + 0.75**2) ** 0.5 - 1))


def test_one_pixel_is_the_centre():
    assert coordinate_maps((1, 1), torch.zeros(1)).flatten().tolist() == [0.0, 0.0, -1.0]


def test_appended_after_the_features():
    features = torch.randn(2, 5, 4, 6)
    out = append_coordinates(features)
    assert out.shape == (2, 8, 4, 6)
    assert torch.equal(out[:, :5], features)
    assert torch.equal(out[0, 5:], out[1, 5:])
