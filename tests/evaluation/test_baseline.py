from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image

from recseg_d2.baselines.classical import segment_nuclei
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.errors import UserError
from recseg_d2.evaluation.baseline import score_baseline

pytest.importorskip("skimage", reason="needs scikit-image (extra: baseline)")

TRUTH = np.kron(np.array([[0, 0, 0, 0], [0, 1, 0, 2], [0, 0, 0, 0]]), np.ones((8, 8), dtype=int))


@pytest.fixture
def blobs(tmp_path):
    """A registered data set of one image with two light squares."""
    path = tmp_path / "blob.png"
    Image.fromarray(np.where(TRUTH > 0, 220, 20).astype(np.uint8)).save(path)
    record = {"file_name": str(path), "image_id": 3, "height": 24, "width": 32}
    record["annotations"] = label_map_to_annotations(TRUTH)
    DatasetCatalog.register("baseline_test_blobs", lambda: [record])
    yield "baseline_test_blobs"
    DatasetCatalog.remove("baseline_test_blobs")
    MetadataCatalog.pop("baseline_test_blobs", None)


def test_found_exactly(blobs):
    expected = {"SBD": 100.0, "DiC": 0.0, "absDiC": 0.0, "FGBGDice": 100.0}
    assert score_baseline(blobs, "nuclei").results() == expected
    assert score_baseline(blobs, "nuclei").images == {"blob": expected}


def test_same_as_the_function_on_the_image(blobs):
    image = np.where(TRUTH > 0, 220, 20)
    assert np.array_equal(segment_nuclei(image), TRUTH)


@pytest.mark.parametrize(
    ("dataset", "method", "message"),
    [
        ("no_such_set", "leaves", "'no_such_set'.*synthetic_rosettes_val"),
        ("synthetic_rosettes_val", "cells", "'cells'.*leaves, nuclei"),
    ],
)
def test_unknown_names_are_refused(dataset, method, message):
    with pytest.raises(UserError, match=message):
        score_baseline(dataset, method)
