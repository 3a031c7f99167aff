from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image

from recseg_d2.cli import run
from recseg_d2.cli.submit_cvppp import main
from recseg_d2.data.sources.cvppp import Cvppp, CvpppH5

FOLDER_SET, H5_SET = "submit_test_folder", "submit_test_h5"


@pytest.fixture
def datasets(tmp_path, images):
    """The images of ``images`` as CVPPP's test set, in a folder and in an HDF5 file."""
    h5py = pytest.importorskip("h5py")
    folder = tmp_path / "A1_test"
    folder.mkdir()
    with h5py.File(tmp_path / "testing.h5", "w") as file:
        for number, name in enumerate(("none", "three", "two"), start=1):
            pixels = np.asarray(Image.open(images / f"{name}.png"))
            Image.fromarray(pixels).save(folder / f"plant{number:03d}_rgb.png")
            file[f"A1/plant{number:03d}/rgb"] = pixels
        file["A2/plant001/rgb"] = np.zeros((3, 4, 3), np.uint8)
    Cvppp(FOLDER_SET, folder, "test").register()
    CvpppH5(H5_SET, tmp_path / "testing.h5", split="test").register()
    yield
    for name in (FOLDER_SET, H5_SET):
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)


def submit(trained, output, *more: str) -> int:
    return run(main, ["--weights", str(trained), "--output", str(output), *more])


@pytest.mark.parametrize("batch_size", ["1", "2"])
@pytest.mark.parametrize("dataset", [FOLDER_SET, H5_SET])
def test_end_to_end(datasets, trained, tmp_path, capsys, dataset, batch_size):
    h5py = pytest.importorskip("h5py")
    out = tmp_path / "out"
    more = ["--dataset", dataset, "--batch-size", batch_size]
    assert submit(trained, out, *more) == 0
    expected = np.zeros((6, 8), np.uint8)
    expected[1:3, 2:6], expected[4:6] = 1, 2
    np.testing.assert_array_equal(Image.open(out / "labels/A1/plant003_label.png"), expected)
    with h5py.File(out / "submission.h5") as file:
        np.testing.assert_array_equal(file["A1/plant003/label"], expected)
        assert not np.asarray(file["A1/plant001/label"]).any()
        assert np.asarray(file["A1/plant002/label"]).max() == 3
        assert ("A2" in file) == (dataset == H5_SET)
    said = capsys.readouterr().out
    assert f"3 images, 5 leaves: {out}" in said
    assert ("plants without a prediction without leaves: 1" in said) == (dataset == H5_SET)


def test_one_format(datasets, trained, tmp_path):
    arguments = ["--dataset", FOLDER_SET, "--formats", "png"]
    assert submit(trained, tmp_path / "out", *arguments) == 0
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["labels"]


def test_wrong_data_sets_are_refused(datasets, trained, tmp_path, capsys):
    assert submit(trained, tmp_path / "out", "--dataset", "gone") == 2
    assert (
        "--dataset: found 'gone', expected a registered data set: cvppp2017_a1_rsis_train"
        in capsys.readouterr().err
    )
    assert submit(trained, tmp_path / "out", "--dataset", FOLDER_SET, H5_SET) == 2
    assert "both plant plant001 of group A1" in capsys.readouterr().err
