from __future__ import annotations

import importlib.util
import sys

import numpy as np
import pytest

from recseg_d2.baselines.classical import excess_green, segment_leaves, segment_nuclei, to_grey
from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.data.synthetic.rosettes import draw_rosette
from recseg_d2.errors import UserError
from recseg_d2.evaluation.baseline import segment_file
from recseg_d2.metrics import ImageScores, count_overlap
from recseg_d2.metrics.dice import symmetric_best_dice

needs_skimage = pytest.mark.skipif(
    importlib.util.find_spec("skimage") is None, reason="needs scikit-image (extra: baseline)"
)


def discs(*centres: tuple[int, int], radius: int = 8, size: int = 64) -> np.ndarray:
    """Label map of discs."""
    y, x = np.ogrid[:size, :size]
    labels = np.zeros((size, size), dtype=np.int32)
    for label, (cy, cx) in enumerate(centres, start=1):
        labels[(y - cy) ** 2 + (x - cx) ** 2 <= radius**2] = label
    return labels


def photograph(labels: np.ndarray, object_level: int, ground_level: int) -> np.ndarray:
    """(H, W, 3) uint8 grey levels with noise."""
    noise = np.random.default_rng(0).normal(0, 4, labels.shape)
    levels = np.where(labels > 0, object_level, ground_level) + noise
    return np.clip(levels, 0, 255).astype(np.uint8)[..., None].repeat(3, axis=2)


@needs_skimage
@pytest.mark.parametrize("levels", [(200, 30), (60, 220)])
def test_nuclei_light_on_dark_and_dark_on_light(levels):
    truth = discs((12, 12), (15, 45), (50, 30))
    found = segment_nuclei(photograph(truth, *levels))
    assert found.dtype == np.int32
    assert found.max() == 3
    assert symmetric_best_dice(count_overlap(found, truth)) > 0.98


@needs_skimage
def test_nuclei_holes_are_filled_and_specks_dropped():
    truth = discs((30, 30), radius=12)
    image = photograph(truth, 200, 20)
    image[28:32, 28:32] = 20
    image[2:5, 2:5] = 200
    assert symmetric_best_dice(count_overlap(segment_nuclei(image), truth)) > 0.98
    assert segment_nuclei(image, min_area=1).max() == 2


@needs_skimage
def test_nuclei_grey_image_of_another_range():
    truth = discs((20, 20), (44, 44))
    image = photograph(truth, 200, 30)[..., 0].astype(np.uint16) * 257
    assert symmetric_best_dice(count_overlap(segment_nuclei(image), truth)) > 0.98


@needs_skimage
@pytest.mark.parametrize("level", [0, 90, 255])
def test_uniform_image_has_no_object(level):
    image = np.full((40, 50, 3), level, dtype=np.uint8)
    assert not segment_nuclei(image).any()
    assert not segment_leaves(image).any()


@needs_skimage
def test_touching_leaves_are_divided():
    truth = discs((32, 20), (32, 44), radius=13)
    image = np.where((truth > 0)[..., None], (60, 140, 50), (110, 90, 70)).astype(np.uint8)
    found = segment_leaves(image)
    assert found.max() == 2
    assert symmetric_best_dice(count_overlap(found, truth)) > 0.95


@needs_skimage
def test_only_the_largest_green_region_is_the_plant():
    image = np.full((64, 64, 3), (110, 90, 70), dtype=np.uint8)
    image[discs((30, 30), radius=14) > 0] = (60, 140, 50)
    image[2:7, 2:7] = (60, 140, 50)  # moss
    truth = discs((30, 30), radius=14)
    assert symmetric_best_dice(count_overlap(segment_leaves(image), truth)) > 0.95


@needs_skimage
def test_leaves_on_rosettes_are_far_from_nothing_and_far_from_perfect():
    scores = ImageScores()
    for seed in range(8):
        image, truth = draw_rosette(seed)
        scores.update(str(seed), segment_leaves(image), truth)
    assert 40 < scores.results()["SBD"] < 90


@needs_skimage
def test_nuclei_on_real_images(root):
    folder = root.parent / "shared" / "data" / "nuclei" / "val"
    if not folder.is_dir():
        pytest.skip(f"no real nuclei in {folder}")
    scores = ImageScores(["sbd"])
    for path in sorted((folder / "labels").glob("*.png")):
        truth = read_label_map(path)
        if 2 <= len(np.unique(truth)) - 1 <= 20:
            found = segment_file(folder / "images" / path.name, "nuclei")
            scores.update(path.stem, found, truth)
    assert scores.results()["SBD"] > 70


def test_excess_green_by_hand():
    image = np.array([[[0, 255, 0], [10, 10, 10], [255, 0, 0], [0, 0, 0]]], dtype=np.uint8)
    assert excess_green(image).tolist() == [[2.0, 0.0, -1.0, 0.0]]


def test_leaves_need_colour():
    with pytest.raises(UserError, match=r"\(5, 6\)"):
        excess_green(np.zeros((5, 6), dtype=np.uint8))


def test_grey_of_white_is_white():
    assert to_grey(np.full((1, 1, 3), 255)).item() == pytest.approx(255.0)


def test_missing_scikit_image_is_a_sentence(monkeypatch):
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(UserError, match=r"pip install 'recseg_d2\[baseline\]'"):
        segment_nuclei(np.zeros((4, 4), dtype=np.uint8))
