from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from recseg_d2.errors import UserError
from recseg_d2.evaluation.cityscapes_results import (
    list_of_image,
    read_mask,
    read_submission,
    submission_lists,
    write_submission,
)
from recseg_d2.metrics.cityscapes_matching import Crop

NAME = "ulm_000001_000019"
SHAPE = (20, 37)


def disc(row: int, column: int) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (y - row) ** 2 + (x - column) ** 2 < 20


def pasted(crop: Crop) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    height, width = crop.mask.shape
    mask[crop.top : crop.top + height, crop.left : crop.left + width] = crop.mask
    return mask


def test_written_and_read_back(tmp_path):
    masks = [disc(8, 9), disc(19, 36), np.zeros(SHAPE, bool), np.ones(SHAPE, bool)]
    scores = [0.5, 0.1 + 0.2, 1e-9, 1.0]
    path = write_submission(tmp_path / "results", NAME, [24, 26, 33, 26], scores, masks)
    assert path.name == f"{NAME}_pred.txt"
    assert path.read_text().splitlines()[0] == f"{NAME}_000.png 24 0.5"
    found = read_submission(path)
    assert [m.label_id for m in found] == [24, 26, 33, 26]
    assert [m.score for m in found] == scores
    for submitted, mask in zip(found, masks, strict=True):
        assert np.array_equal(pasted(read_mask(submitted.path, SHAPE)), mask)
    assert read_mask(found[0].path, SHAPE).mask.shape == (9, 9)  # the tight box


def test_earlier_predictions_of_the_image_are_replaced(tmp_path):
    write_submission(tmp_path, NAME, [24] * 3, [0.5] * 3, [disc(3, 3)] * 3)
    write_submission(tmp_path, "ulm_000001_000020", [24], [0.5], [disc(3, 3)])
    write_submission(tmp_path, NAME, [], [], [])
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        f"{NAME}_pred.txt",
        "ulm_000001_000020_000.png",
        "ulm_000001_000020_pred.txt",
    ]
    assert read_submission(tmp_path / f"{NAME}_pred.txt") == []


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
def test_masks_of_any_depth(tmp_path, mode):
    path = tmp_path / "mask.png"
    Image.fromarray(disc(8, 9)).convert("L").convert(mode).save(path)
    assert np.array_equal(pasted(read_mask(path, SHAPE)), disc(8, 9))
    Image.fromarray(disc(-90, -90)).convert("L").convert(mode).save(path)
    assert read_mask(path, SHAPE).mask.size == 0


def test_of_two_lines_with_a_mask_the_last_counts(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("m.png 24 0.5\nm.png 26 0.25\n")
    (found,) = read_submission(path)
    assert (found.label_id, found.score) == (26, 0.25)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("m.png 24", "line 2: found 'm.png 24', expected <mask file> <label id> <score>"),
        ("m.png 24 0.5 more", "expected <mask file>"),
        ("m.png car 0.5", "expected <mask file>"),
        ("m.png 24 nan", "finite score"),
        ("/m.png 24 0.5", "found the mask /m.png, expected a path in"),
        ("../m.png 24 0.5", r"found the mask \.\./m.png"),
    ],
)
def test_wrong_lines_are_refused_by_number(tmp_path, line, message):
    path = tmp_path / "a.txt"
    path.write_text(f"ok.png 24 0.5\n{line}\n")
    with pytest.raises(UserError, match=message):
        read_submission(path)


def test_lists_are_found_anywhere_below(tmp_path):
    for folder, name in (("ulm", f"{NAME}_x.txt"), ("bonn", "bonn_000000_000019.txt")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("")
    lists = submission_lists(tmp_path)
    assert list_of_image(lists, NAME) == tmp_path / "ulm" / f"{NAME}_x.txt"
    with pytest.raises(UserError, match=r"found none for image jena.*an empty one"):
        list_of_image(lists, "jena_000000_000019")
    (tmp_path / f"{NAME}.txt").write_text("")
    with pytest.raises(UserError, match=f"{NAME}_x.txt, .*{NAME}.txt for image"):
        list_of_image(submission_lists(tmp_path), NAME)
    with pytest.raises(UserError, match="no such folder"):
        submission_lists(tmp_path / "nowhere")


def test_wrong_masks_and_names_are_refused(tmp_path):
    (path,) = [m.path for m in read_submission(write_one(tmp_path))]
    with pytest.raises(UserError, match="found 37x20 pixels, expected 5x4"):
        read_mask(path, (4, 5))
    path.write_bytes(path.read_bytes()[:30])
    with pytest.raises(UserError, match=f"{path.name}: cannot be read as a mask"):
        read_mask(path, SHAPE)
    with pytest.raises(UserError, match="cannot be read"):
        read_mask(tmp_path / "nope.png", SHAPE)
    with pytest.raises(UserError, match="no spaces"):
        write_submission(tmp_path, "a b", [], [], [])


def write_one(folder):
    return write_submission(folder, NAME, [24], [0.5], [disc(8, 9)])
