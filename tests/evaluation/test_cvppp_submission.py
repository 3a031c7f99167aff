from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.structures import Instances
from PIL import Image

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.data.sources.cvppp import Cvppp, CvpppH5
from recseg_d2.data.synthetic.layouts import export_dataset
from recseg_d2.errors import UserError
from recseg_d2.evaluation import build_evaluator
from recseg_d2.evaluation.cvppp_submission import CvpppSubmission, plant_of

SIZE = 40


@pytest.fixture
def folder_records(tmp_path):
    export_dataset("cvppp", tmp_path / "cvppp", [0], [1, 2], SIZE)
    return Cvppp("plants", tmp_path / "cvppp/A1_test", "test")()


@pytest.fixture
def h5_records(tmp_path):
    """Two plants of A1; the file has one of A4 too."""
    h5py = pytest.importorskip("h5py")
    export_dataset("cvppp_h5", tmp_path / "cvppp", [0], [1, 2], SIZE)
    images = tmp_path / "cvppp/CVPPP2017_testing_images.h5"
    with h5py.File(images, "a") as file:
        file["A4/plant0007/rgb"] = np.zeros((5, 6, 3), np.uint8)
    return CvpppH5("plants", images, split="test")()


def some_labels():
    """Three leaves whose numbers are not consecutive."""
    labels = np.zeros((SIZE, SIZE), np.int32)
    labels[:5], labels[10:20], labels[20:30, :7] = 300, 2, 9
    consecutive = np.select([labels == 2, labels == 9, labels == 300], [1, 2, 3])
    return labels, consecutive


def test_label_files_of_a_folder(folder_records, tmp_path):
    labels, consecutive = some_labels()
    with CvpppSubmission(tmp_path / "out", ["png"]) as submission:
        assert submission.add(folder_records[0], labels) == 3
        assert submission.add(folder_records[1], np.zeros_like(labels)) == 0
        assert submission.finish() == []
    written = sorted(str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*.*"))
    assert written == ["labels/A1/plant001_label.png", "labels/A1/plant002_label.png"]
    first = Image.open(tmp_path / "out/labels/A1/plant001_label.png")
    assert first.mode == "L"
    np.testing.assert_array_equal(np.asarray(first), consecutive)
    assert not read_label_map(tmp_path / "out/labels/A1/plant002_label.png").any()


def test_an_evaluation_may_write_the_submission(folder_records, tmp_path, monkeypatch):
    monkeypatch.setattr(DatasetCatalog, "get", lambda name: {"plants": folder_records}[name])
    cfg = get_recseg_cfg()
    cfg.TEST.EVALUATOR = "cvppp_submission"
    evaluator = build_evaluator(cfg, "plants", tmp_path)
    labels, consecutive = some_labels()
    for record, found in zip(folder_records, (labels, labels[::-1]), strict=True):
        masks = torch.from_numpy(np.stack([found == value for value in (2, 9, 300)]))
        scores = torch.tensor([0.9, 0.8, 0.7])
        instances = Instances(found.shape, pred_masks=masks, scores=scores)
        evaluator.process([{"image_id": record["image_id"]}], [{"instances": instances}])
    assert evaluator.evaluate() == {"cvppp_submission": {"images": 2.0, "leaves": 6.0}}
    first = read_label_map(tmp_path / "submission/labels/A1/plant001_label.png")
    np.testing.assert_array_equal(first, consecutive)
    evaluator.reset()
    assert evaluator.evaluate() == {"cvppp_submission": {"images": 0.0, "leaves": 0.0}}


def test_the_file_of_2017_has_every_plant_of_the_images(h5_records, tmp_path):
    h5py = pytest.importorskip("h5py")
    labels, consecutive = some_labels()
    with CvpppSubmission(tmp_path / "out", ["hdf5"]) as submission:
        submission.add(h5_records[1], labels)
        assert submission.finish() == ["A1/plant001", "A4/plant0007"]
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["submission.h5"]
    with h5py.File(tmp_path / "out/submission.h5") as file:
        assert {group: list(file[group]) for group in file} == {
            "A1": ["plant001", "plant002"],
            "A4": ["plant0007"],
        }
        node = file["A1/plant002"]
        assert node["label"].dtype == np.uint8
        np.testing.assert_array_equal(node["label"], consecutive)
        assert node["label_filename"].asstr()[()] == "plant002_label.png"
        assert file["A4/plant0007/label"].shape == (5, 6)
        assert not np.asarray(file["A4/plant0007/label"]).any()


def test_a_submission_reads_back_as_labels(h5_records, tmp_path):
    """The truth of the training set has the same layout."""
    labels, consecutive = some_labels()
    with CvpppSubmission(tmp_path / "out") as submission:
        for record in h5_records:
            submission.add(record, labels)
        submission.finish()
    images = tmp_path / "cvppp/CVPPP2017_testing_images.h5"
    again = CvpppH5("again", images, tmp_path / "out/submission.h5")()
    assert [len(r["annotations"]) for r in again] == [3, 3]
    written = read_label_map(tmp_path / "out/labels/A1/plant001_label.png")
    np.testing.assert_array_equal(written, consecutive)


def test_groups_and_plants():
    h5 = {"file_name": "h5:///data/a1::A5/plant012/rgb", "image_id": "plant012"}
    assert plant_of(h5) == ("A5", "plant012")
    for folder in ("A2", "A2_test"):
        image = {"file_name": f"/data/{folder}/plant3_rgb.png", "image_id": "plant3"}
        assert plant_of(image) == ("A2", "plant3")


def test_what_does_not_fit_is_refused(folder_records, tmp_path, monkeypatch):
    labels, _ = some_labels()
    with CvpppSubmission(tmp_path / "out", ["png"]) as submission:
        submission.add(folder_records[0], labels)
        with pytest.raises(UserError, match=r"both plant plant001 of group A1"):
            submission.add(folder_records[0], labels)
        with pytest.raises(ValueError, match=r"labels of \(40, 39\), expected .*\(40, 40\)"):
            submission.add(folder_records[1], labels[:, 1:])
        with pytest.raises(UserError, match="found 1600 leaves, expected at most the 255"):
            submission.add(folder_records[1], np.arange(1, 1601).reshape(SIZE, SIZE))
        submission.add(folder_records[1], np.arange(1600).reshape(SIZE, SIZE) % 256)
    with pytest.raises(UserError, match="found tiff, expected png and hdf5"):
        CvpppSubmission(tmp_path / "out", ["png", "tiff"])
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(UserError, match=r"pip install recseg_d2\[hdf5\]"):
        CvpppSubmission(tmp_path / "out")
