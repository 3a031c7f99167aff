from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.errors import UserError
from recseg_d2.evaluation.folders import score_folders

LABELS = np.array([[1, 1, 0], [2, 2, 0]])


def write(folder, *names):
    folder.mkdir(exist_ok=True)
    for name in names:
        write_label_map(folder / name, LABELS)
    return folder


def test_empty_prediction_folder_counts_everything_as_missed(tmp_path):
    gt, pred = write(tmp_path / "gt", "a.png", "b.png"), write(tmp_path / "pred")
    scores = score_folders(pred, gt, ["sbd", "dic"])
    assert scores.results() == {"SBD": 0.0, "DiC": -2.0, "absDiC": 2.0}


def test_long_lists_of_extra_predictions_are_cut(tmp_path):
    gt = write(tmp_path / "gt", "a.png")
    pred = write(tmp_path / "pred", *(f"x{k}.png" for k in range(9)))
    with pytest.raises(UserError, match=r"found 9 prediction.*x0\.png.*x4\.png, \.\.\."):
        score_folders(pred, gt)
