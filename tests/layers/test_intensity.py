import numpy as np
import pytest
import torch

from recseg_d2.errors import OptionError
from recseg_d2.layers.intensity import (
    IntensityOptions,
    intensity_range,
    unit_intensity,
    unit_intensity_of_tensor,
)

PERCENTILES = IntensityOptions(kind="percentiles")


def test_percentiles_become_zero_and_one():
    image = np.arange(1000, dtype=np.uint16).reshape(20, 50, 1) * 60
    scaled = unit_intensity(image, PERCENTILES)
    low, high = np.percentile(image, [1, 99.8])
    np.testing.assert_allclose(scaled, (image - low) / (high - low), rtol=1e-5, atol=1e-6)
    assert scaled.dtype == np.float32


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int32, np.float32, np.float64])
def test_any_type_of_number_gives_the_same(kind):
    image = (np.arange(600).reshape(10, 20, 3) % 200).astype(kind)
    expected = unit_intensity(image.astype(np.float64), PERCENTILES)
    np.testing.assert_allclose(unit_intensity(image, PERCENTILES), expected, atol=1e-6)


def test_channels_keep_their_proportions_or_get_a_range_each():
    image = np.stack([np.arange(100.0), np.arange(100.0) * 10], axis=-1).reshape(10, 10, 2)
    joint = unit_intensity(image, PERCENTILES)
    assert joint[..., 0].max() < 0.15
    each = unit_intensity(image, IntensityOptions(kind="percentiles", joint=False))
    np.testing.assert_allclose(each[..., 0], each[..., 1], atol=1e-6)


def test_a_fixed_range_is_the_same_for_all_images():
    options = IntensityOptions(kind="range", limits=(100, 300))
    image = np.array([[[100], [200], [300], [900]]])
    assert unit_intensity(image, options).ravel().tolist() == [0.0, 0.5, 1.0, 1.5]


def test_outliers_are_clipped_and_what_is_not_finite_does_not_count():
    image = np.linspace(0, 1, 10_000).reshape(100, 100, 1)
    image[0, 0, 0], image[0, 1, 0] = np.nan, np.inf
    scaled = unit_intensity(image, PERCENTILES)
    assert np.isfinite(scaled).all()
    assert scaled.max() <= 1.5
    assert scaled[50, 50, 0] == pytest.approx(0.5, abs=0.02)


def test_flat_images_become_zeros():
    assert not unit_intensity(np.full((4, 4, 3), 7, np.uint8), PERCENTILES).any()
    assert not unit_intensity(np.full((4, 4, 1), np.nan), PERCENTILES).any()


def test_stored_values_stay():
    image = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    np.testing.assert_array_equal(unit_intensity(image, IntensityOptions()), image)


def test_large_images_are_sampled():
    rng = np.random.default_rng(0)
    image = rng.normal(100, 20, (2000, 1500, 1))
    found, expected = intensity_range(image, PERCENTILES), np.percentile(image, [1, 99.8])
    np.testing.assert_allclose(found, expected, rtol=0.02)


def test_ranges_have_to_be_ranges():
    with pytest.raises(OptionError, match="percentiles"):
        IntensityOptions(percentiles=(50, 20))
    with pytest.raises(OptionError, match="limits"):
        IntensityOptions(limits=(3, 3))


@pytest.mark.parametrize(
    "options",
    [
        IntensityOptions(),
        IntensityOptions(kind="range", limits=(10.0, 900.0)),
        PERCENTILES,
        IntensityOptions(kind="percentiles", percentiles=(0.0, 100.0), joint=False),
    ],
    ids=["stored", "range", "joint", "each"],
)
@pytest.mark.parametrize("size", [(7, 9), (1, 1), (1500, 1400)])
def test_tensors_become_what_arrays_become(options, size):
    image = np.random.default_rng(0).integers(0, 1000, (*size, 2)).astype(np.float32)
    image[..., 1] = 3  # a channel of one value
    found = unit_intensity_of_tensor(torch.from_numpy(image).permute(2, 0, 1), options)
    expected = unit_intensity(image, options).transpose(2, 0, 1)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5, atol=1e-5)
