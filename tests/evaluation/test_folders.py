from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.data.label_io import write_label_map
from recseg_d2.errors import UserError
from recseg_d2.evaluation.folders import find_label_maps, score_folders

LABELS = np.array([[1, 1, 0], [2, 2, 0]])


def write(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        write_label_map(folder / name, LABELS)
    return folder


def test_found_sorted_by_name_without_the_ending(tmp_path):
    folder = write(tmp_path, "b_label.png", "a.tif", "c.PNG")
    (folder / "notes.txt").write_text("no label map")
    assert {k: p.name for k, p in find_label_maps(folder).items()} == {
        "a": "a.tif",
        "b": "b_label.png",
        "c": "c.PNG",
    }


def test_other_files_of_a_marked_image_are_passed_over(tmp_path):
    names = ["p1_label.png", "p1.png", "p1_rgb.png", "p1_fg.png", "p10.png", "q_fg.png"]
    found = find_label_maps(write(tmp_path, *names))
    assert sorted(p.name for p in found.values()) == ["p10.png", "p1_label.png", "q_fg.png"]


def test_empty_prediction_folder_counts_everything_as_missed(tmp_path):
    gt, pred = write(tmp_path / "gt", "a.png", "b.png"), write(tmp_path / "pred")
    scores = score_folders(pred, gt, ["sbd", "dic"])
    assert scores.mean() == {"SBD": 0.0, "DiC": -2.0, "absDiC": 2.0}


def test_long_lists_of_extra_predictions_are_cut(tmp_path):
    gt = write(tmp_path / "gt", "a.png")
    pred = write(tmp_path / "pred", *(f"x{k}.png" for k in range(9)))
    with pytest.raises(UserError, match=r"found 9 prediction.*x0\.png.*x4\.png, \.\.\."):
        score_folders(pred, gt)
