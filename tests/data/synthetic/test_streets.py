from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.data.sources.instance_ids import LABEL_IDS
from recseg_d2.data.synthetic import streets as drawing
from recseg_d2.data.synthetic.road_users import SHAPES
from recseg_d2.data.synthetic.streets import (
    CAMERA_HEIGHT,
    DISPARITY_SCALE,
    EGO_VEHICLE,
    INSTANCE_DIVISOR,
    OUT_OF_ROI,
    ROAD,
    SKY,
    _Placed,
    draw_street,
)

SEEDS = range(40)


@pytest.fixture(scope="module")
def streets():
    return [draw_street(seed) for seed in SEEDS]


def test_a_seed_is_one_street(streets):
    again = draw_street(3)
    for key in ("image", "ids", "disparity"):
        np.testing.assert_array_equal(getattr(again, key), getattr(streets[3], key))
    assert (streets[3].image != streets[4].image).any()


@pytest.mark.parametrize("size", [(32, 64), (96, 318), (61, 50)])
def test_sizes_and_types(size):
    street = draw_street(0, size)
    assert street.image.shape == (*size, 3)
    assert street.image.dtype == np.uint8
    for array in (street.ids, street.disparity):
        assert array.shape == size
        assert array.dtype == np.uint16


def test_every_class_groups_void_and_what_is_not_evaluated(streets):
    values = np.unique(np.concatenate([np.unique(s.ids) for s in streets]))
    instances = values[values >= INSTANCE_DIVISOR] // INSTANCE_DIVISOR
    assert set(instances) == {*LABEL_IDS, SHAPES["caravan"].label_id}
    assert {24, 26, 33, EGO_VEHICLE, OUT_OF_ROI, ROAD, SKY} <= set(values)


def test_most_objects_are_more_than_specks(streets):
    areas = [np.unique(s.ids[s.ids >= INSTANCE_DIVISOR], return_counts=True)[1] for s in streets]
    areas = np.concatenate(areas)
    assert 4 < len(areas) / len(streets) < 14
    assert np.median(areas) > 100
    assert areas.max() > 2000


def distances(street):
    """Of each instance, metres: the median over its pixels, as the benchmark computes it."""
    focal = street.camera["intrinsic"]["fx"]
    baseline = street.camera["extrinsic"]["baseline"]
    found = {}
    for value in np.unique(street.ids[street.ids >= INSTANCE_DIVISOR]):
        stored = street.disparity[(street.ids == value) & (street.disparity > 0)]
        if stored.size:
            disparity = (stored.astype(float) - 1) / DISPARITY_SCALE
            found[int(value)] = focal * baseline / np.median(disparity)
    return found


@pytest.mark.parametrize(("x", "z"), [(0.0, 8.0), (2.0, 15.0), (-3.0, 30.0)])
def test_size_place_and_disparity_follow_from_the_distance(monkeypatch, x, z):
    person = SHAPES["person"]
    alone = _Placed(person, person.widths[0], x, z, 24000)
    monkeypatch.setattr(drawing, "_place", lambda camera, rng: [alone])
    street = draw_street(0, (512, 1024))
    assert distances(street) == {24000: pytest.approx(z, rel=0.01)}
    camera = street.camera["intrinsic"]
    rows, columns = np.nonzero(street.ids == 24000)
    scale = camera["fx"] / z  # pixels a metre
    assert rows.max() + 1 == pytest.approx(camera["v0"] + CAMERA_HEIGHT * scale, abs=1)
    assert rows.max() + 1 - rows.min() == pytest.approx(person.height * scale, abs=2)
    assert np.median(columns) == pytest.approx(camera["u0"] + x * scale, abs=2)


def test_everything_stands_where_it_can_be_seen(streets):
    for street in streets:
        for value, distance in distances(street).items():
            assert SHAPES["person"].nearest * 0.9 < distance < 45, value


def test_disparity_has_holes_and_no_sky(streets):
    for street in streets:
        assert not street.disparity[street.ids == SKY].any()
        road = street.disparity[street.ids == ROAD]
        assert 0.01 < (road == 0).mean() < 0.3
