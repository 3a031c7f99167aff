"""Plots: their files, bars, curves of recall against IoU, and what happens without matplotlib."""

from __future__ import annotations

import sys
from functools import partial

import numpy as np
import pytest
from PIL import Image

from recseg_d2.errors import UserError
from recseg_d2.visualization.plots import (
    check_matplotlib,
    draw_recall_curves,
    grouped_bars,
    save_plot,
)

IOUS = np.linspace(0.5, 1, 11)


def test_a_panel_for_each_number_of_proposals(tmp_path):
    pytest.importorskip("matplotlib")
    falling, missing = np.linspace(0.9, 0, 11), np.full(11, np.nan)

    def picture(name, curves) -> np.ndarray:
        draw = partial(draw_recall_curves, IOUS, curves)
        return np.asarray(Image.open(save_plot(tmp_path / "new" / f"{name}.png", draw)))

    one = picture("one", {"10": {"a": falling}})
    two = picture("two", {"10": {"a": falling, "b": missing}, "100": {"b": missing}})
    assert two.shape[1] == 2 * one.shape[1]
    curve_blue = (two[..., :3] == (31, 119, 180)).all(axis=2)
    left, right = np.array_split(curve_blue, 2, axis=1)
    assert left.sum() > 50
    assert right.sum() == 0


def test_matplotlib_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(UserError, match=r"recseg_d2\[plots\].*--no-plots"):
        check_matplotlib()
    with pytest.raises(UserError, match="matplotlib"):
        save_plot(tmp_path / "plot.png", lambda figure: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["png", "webp", "svg"])
def test_a_file_has_the_format_of_its_ending(ending, tmp_path):
    pytest.importorskip("matplotlib")
    path = save_plot(tmp_path / f"plot.{ending}", lambda figure: None)
    start = path.read_bytes()[:12]
    assert {"png": b"PNG", "webp": b"WEBP", "svg": b"<?xml"}[ending] in start


def test_an_unknown_format_is_refused(tmp_path):
    pytest.importorskip("matplotlib")
    with pytest.raises(UserError, match=r"plot\.txt: expected a plot's ending, one of .*\.png"):
        save_plot(tmp_path / "plot.txt", lambda figure: None)
    assert list(tmp_path.iterdir()) == []


def test_bars_stand_side_by_side():
    figure = pytest.importorskip("matplotlib.figure", reason="needs matplotlib").Figure()
    axes = figure.subplots()
    grouped_bars(axes, ["x", "y"], {"a": [1.0, -1.0], "b": [0.5, float("nan")]})
    places = sorted((patch.get_x(), patch.get_width()) for patch in axes.patches)
    ends = [x + width for x, width in places]
    assert all(end <= start + 1e-9 for end, (start, _) in zip(ends, places[1:], strict=False))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["x", "y"]
