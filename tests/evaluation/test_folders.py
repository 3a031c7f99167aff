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


def test_an_empty_prediction_folder_is_refused(tmp_path):
    gt, pred = write(tmp_path / "gt", "a.png", "b.png"), write(tmp_path / "pred")
    with pytest.raises(UserError, match=r"pred: found no label map, expected files ending in"):
        score_folders(pred, gt, ["sbd", "dic"])


def test_e02_cp_masks_pair_with_their_images(tmp_path):
    gt, pred = write(tmp_path / "gt", "a.png", "b_mask.png"), tmp_path / "pred"
    write(pred, "a_cp_masks.png", "b_cp_masks.png")
    assert score_folders(pred, gt, ["sbd", "dic"]).results()["SBD"] == 100


def test_e02b_files_of_another_ending_pair(tmp_path):
    gt, pred = write(tmp_path / "gt", "a.png"), write(tmp_path / "pred", "a.tif")
    assert score_folders(pred, gt, ["sbd"]).results()["SBD"] == 100


def test_e03_binary_truth_is_said(tmp_path, caplog):
    gt, pred = tmp_path / "gt", tmp_path / "pred"
    four = np.zeros((9, 9), np.uint8)
    four[1:4, 1:4], four[1:4, 5:8], four[5:8, 1:4], four[5:8, 5:8] = 1, 2, 3, 4
    for folder, labels in ((gt, 255 * (four > 0)), (pred, four)):
        folder.mkdir()
        write_label_map(folder / "a.png", labels)
    assert score_folders(pred, gt, ["dic"]).results()["DiC"] == 3
    assert "1 of 1 true label maps have one value on several regions, such as a.png: binary" in (
        caplog.text
    )


def test_long_lists_of_extra_predictions_are_cut(tmp_path):
    gt = write(tmp_path / "gt", "a.png")
    pred = write(tmp_path / "pred", *(f"x{k}.png" for k in range(9)))
    with pytest.raises(UserError, match=r"found 9 prediction.*x0\.png.*x4\.png, \.\.\."):
        score_folders(pred, gt)
