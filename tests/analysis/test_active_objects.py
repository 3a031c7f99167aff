from __future__ import annotations

import numpy as np
import pytest
import torch
from analysis.saved_runs import found_objects, rectangle

from recseg_d2.analysis.active_objects import CELLS, ActiveObjects, Places, covered, draw_places

LEFT, RIGHT, TOP = (10, 0, 20, 10), (10, 30, 20, 40), (0, 10, 8, 30)


def cells(*boxes):
    return covered([torch.from_numpy(rectangle(box)) for box in boxes])


def two_images():
    """TOP and then RIGHT are the most active, LEFT is the least active in both."""
    active = ActiveObjects()
    for boxes, values in (((LEFT, TOP, RIGHT), [1, 3, 2]), ((RIGHT, TOP, LEFT), [5, 4, -1])):
        active.update({"f": np.array(values)}, found_objects(*boxes), cells(*boxes))
    return active


def test_means_by_hand():
    most, least = two_images().rows()
    assert most == {
        "sorting": "f", "active": "most", "images": 2, "y": pytest.approx((4 / 20 + 15 / 20) / 2),
        "x": pytest.approx((20 / 40 + 35 / 40) / 2), "area": pytest.approx((160 + 100) / 800 / 2),
        "order": pytest.approx((1 / 2 + 0) / 2),
    }  # fmt: skip
    assert least == {
        "sorting": "f", "active": "least", "images": 2, "y": pytest.approx(15 / 20),
        "x": pytest.approx(5 / 40), "area": pytest.approx(100 / 800), "order": pytest.approx(0.5),
    }  # fmt: skip


def test_maps_have_the_share_of_images_whose_object_is_there():
    maps = two_images().maps("f")
    row, left, middle, right = 3 * CELLS // 4, CELLS // 8, CELLS // 2, 7 * CELLS // 8
    assert (maps["least"][row, left], maps["least"][row, right]) == (1.0, 0.0)
    assert (maps["most"][row, right], maps["most"][CELLS // 5, middle]) == (0.5, 0.5)
    assert maps["most"][row, left] == 0.0
    assert maps["least"].mean() == pytest.approx(1 / 8)  # the share of the image that LEFT covers
    assert two_images().aspect("f") == 0.5


def test_a_large_image_has_the_share_of_each_cell():
    mask = torch.zeros(2 * CELLS, 2 * CELLS)
    mask[:3, :2] = 1  # the first cell wholly, the one below it by half
    (cells,) = covered([mask])
    assert (cells[0, 0], cells[1, 0], cells.sum()) == (1.0, 0.5, 1.5)


def test_of_equals_the_first_found_is_taken():
    active = ActiveObjects()
    active.update({"f": np.array([2.0, 2.0])}, found_objects(LEFT, TOP), cells(LEFT, TOP))
    assert [row["order"] for row in active.rows()] == [0.0, 0.0]


def test_the_figure_has_a_map_for_each_weights_and_extreme():
    figure = pytest.importorskip("matplotlib.figure", reason="extra: plots").Figure()
    maps = {"before": two_images().maps("f"), "after": two_images().maps("f")}
    draw_places({"a": Places("level f0", maps, 0.5), "b": Places("level f1", maps, 0.5)}, figure)
    titles = [axes.get_title() for axes in figure.axes if axes.get_title()]
    of_run = [f"{w}, {e} active" for w in ("before", "after") for e in ("most", "least")]
    assert titles == 2 * of_run
    assert [block.get_suptitle() for block in figure.subfigs] == [
        "a: most and least active objects, level f0", "b: most and least active objects, level f1"
    ]  # fmt: skip
    assert figure.axes[0].images[0].get_clim() == (0, 1)  # one scale for all maps of a run
