"""``recseg predict --stack``: label stacks, counts and measurements of volumes."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile
from cli.predicting import table

from recseg_d2.cli import run
from recseg_d2.cli.predict import main
from recseg_d2.data.io.images import read_stack


@pytest.fixture
def stack(tmp_path):
    """Five slices: red goes through three of them and moves, blue is in the last two."""
    pages = np.zeros((5, 8, 10, 3), np.uint8)
    for z, x in ((1, 2), (2, 3), (3, 4)):
        pages[z, 2:6, x : x + 4, 0] = 200
    pages[3:, 7, 0:3, 2] = 150
    folder = tmp_path / "stacks"
    folder.mkdir()
    tifffile.imwrite(folder / "a.tif", pages, photometric="rgb", metadata={"axes": "ZYXS"})
    return folder


def predict(trained, stack, tmp_path, *more: str) -> int:
    options = ["--weights", str(trained), "--input", str(stack), "--stack", *more]
    return run(main, [*options, "--output", str(tmp_path / "out")])


@pytest.mark.parametrize("batch_size", ["1", "3"])
def test_objects_are_one_over_the_slices(trained, stack, tmp_path, batch_size):
    sizes = ["--pixel-size", "0.5", "--slice-distance", "2", "--batch-size", batch_size]
    assert predict(trained, stack, tmp_path, *sizes) == 0
    expected = np.zeros((5, 8, 10), np.uint16)
    for z, x in ((1, 2), (2, 3), (3, 4)):
        expected[z, 2:6, x : x + 4] = 1
    expected[3:, 7, 0:3] = 2
    out = tmp_path / "out"
    labels = tifffile.imread(out / "labels" / "a.tif")
    np.testing.assert_array_equal(labels, expected)
    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(read_stack(out / "labels" / "a.tif")[..., 0], expected)
    assert table(out / "counts.csv") == [{"file": "a.tif", "count": "2"}]
    first, second = table(out / "measurements.csv")
    assert (first["volume"], first["first_slice"], first["last_slice"]) == ("48", "1", "3")
    assert float(first["volume_um3"]) == 48 * 0.5
    assert [float(first[f"centroid_{axis}"]) for axis in "xyz"] == [4.5, 3.5, 2]
    assert [float(second[f"intensity_mean_{n}"]) for n in range(3)] == [0, 0, 150]


def test_what_is_linked_and_left_out_is_chosen(trained, stack, tmp_path):
    assert predict(trained, stack, tmp_path, "--link-iou", "0.7") == 0  # red moves at IoU 0.6
    assert tifffile.imread(tmp_path / "out" / "labels" / "a.tif").max() == 4
    assert predict(trained, stack, tmp_path, "--min-area", "7") == 0
    assert tifffile.imread(tmp_path / "out" / "labels" / "a.tif").max() == 1
    assert predict(trained, stack, tmp_path, "--drop-border") == 0
    assert table(tmp_path / "out" / "counts.csv")[0]["count"] == "1"


def test_a_stack_that_cannot_be_read_is_named_and_others_are_done(trained, stack, tmp_path, capsys):
    (stack / "b.tif").write_bytes((stack / "a.tif").read_bytes()[:200])
    assert predict(trained, stack, tmp_path) == 1
    assert "b.tif" in capsys.readouterr().err
    assert len(table(tmp_path / "out" / "counts.csv")) == 1


def test_what_stacks_do_not_have_is_refused(trained, stack, tmp_path, capsys):
    for more in (["--sequences"], ["--format", "yolo"], ["--bits", "8"]):
        assert predict(trained, stack, tmp_path, *more) == 2
        assert "--stack writes labels, counts, measurements alone" in capsys.readouterr().err
    assert predict(trained, stack, tmp_path, "--link-iou", "0") == 2
    assert "--link-iou is 0.0" in capsys.readouterr().err
    assert predict(trained, stack, tmp_path, "--slice-distance", "0") == 2
    assert not (tmp_path / "out").exists()
