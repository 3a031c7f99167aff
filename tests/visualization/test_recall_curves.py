"""The plot of recall against IoU: its file, empty lines, and without matplotlib."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
from PIL import Image

from recseg_d2.errors import UserError
from recseg_d2.visualization.recall_curves import save_recall_curves

IOUS = np.linspace(0.5, 1, 11)


def test_a_panel_for_each_number_of_proposals(tmp_path):
    pytest.importorskip("matplotlib")
    falling, missing = np.linspace(0.9, 0, 11), np.full(11, np.nan)
    one = save_recall_curves(tmp_path / "new" / "one.png", IOUS, {"10": {"a": falling}})
    two = save_recall_curves(
        tmp_path / "two.png", IOUS, {"10": {"a": falling, "b": missing}, "100": {"b": missing}}
    )
    assert Image.open(two).width == 2 * Image.open(one).width
    curve_blue = (np.asarray(Image.open(two))[..., :3] == (31, 119, 180)).all(axis=2)
    left, right = np.array_split(curve_blue, 2, axis=1)
    assert left.sum() > 50
    assert right.sum() == 0


def test_matplotlib_is_asked_for_by_name(tmp_path, monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(UserError, match=r"pip install 'recseg_d2\[plots\]'"):
        save_recall_curves(tmp_path / "one.png", IOUS, {"10": {}})
