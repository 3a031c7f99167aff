"""Proposals of any method, from files, against hand-worked numbers and the evaluator of models."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import Instances

from recseg_d2 import rle
from recseg_d2.cli import run
from recseg_d2.cli.evaluate_masks import main
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.errors import UserError
from recseg_d2.evaluation import SegmentProposalEvaluator
from recseg_d2.evaluation.proposal_results import box_overlaps, score_proposals

NAME = "proposal_results"
HEIGHT, WIDTH = 20, 30


def labels_of(seed):
    rng = np.random.default_rng(seed)
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    for number in (1, 2, 3):
        y, x = rng.integers(0, 12), 10 * (number - 1)
        labels[y : y + 7, x : x + 8] = number
    return labels


@pytest.fixture(autouse=True)
def dataset():
    """Two images of three rectangles, with ids that are numbers."""
    records = [
        {
            **{"file_name": f"{k}.png", "image_id": k, "height": HEIGHT, "width": WIDTH},
            "annotations": label_map_to_annotations(labels_of(k)),
        }
        for k in (0, 1)
    ]
    DatasetCatalog.register(NAME, lambda: records)
    MetadataCatalog.get(NAME).set(thing_classes=["object"], evaluator_type="segment_proposal")
    yield
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def proposals(image, seed):
    """The true masks moved by up to two pixels, and noise; their scores."""
    rng = np.random.default_rng(seed)
    labels = labels_of(image)
    masks = [np.roll(labels == n, rng.integers(-2, 3, 2), (0, 1)) for n in (1, 2, 3)]
    masks += [rng.random((HEIGHT, WIDTH)) < 0.1 for _ in range(4)]
    return np.stack(masks), rng.random(len(masks))


def write(path, boxes=False, images=(0, 1)):
    entries = []
    for image in images:
        masks, scores = proposals(image, image + 5)
        for mask, score in zip(masks, scores, strict=True):
            found = rle.encode(mask)
            shape = {"bbox": rle.boxes([found])[0].tolist()} if boxes else {"segmentation": found}
            entries.append({"image_id": image, "category_id": 1, "score": float(score), **shape})
    path.write_text(json.dumps(entries))
    return path


def test_masks_count_as_those_of_a_model(tmp_path):
    evaluator = SegmentProposalEvaluator(NAME, None, (2, 5), distributed=False)
    for image in (0, 1):
        masks, scores = proposals(image, image + 5)
        found = Instances((HEIGHT, WIDTH), pred_masks=torch.from_numpy(masks))
        found.scores = torch.from_numpy(scores)
        evaluator.process([{"image_id": image}], [{"instances": found}])
    expected = evaluator.evaluate()["segment_proposal"]
    recall = score_proposals(write(tmp_path / "a.json"), NAME, (2, 5))
    assert 0 < expected["AR@2"] < expected["AR@5"] < 100
    assert recall.summary() == pytest.approx(expected, nan_ok=True)


def test_a_folder_is_its_files_together(tmp_path):
    (tmp_path / "parts").mkdir()
    for image in (0, 1):
        write(tmp_path / "parts" / f"{image}.json", images=(image,))
    together = score_proposals(tmp_path / "parts", NAME).summary()
    assert together == pytest.approx(
        score_proposals(write(tmp_path / "a.json"), NAME).summary(), nan_ok=True
    )


def test_boxes_are_compared_with_tight_boxes(tmp_path):
    box = rle.boxes([rle.encode(labels_of(0) == 1)])[0].tolist()  # 8 x 7
    moved = [box[0] + 2, *box[1:]]  # 6 of 10 columns are shared: an IoU of 0.6
    entries = [{"image_id": 0, "score": 1.0, "bbox": moved}]
    (tmp_path / "a.json").write_text(json.dumps(entries))
    recall = score_proposals(tmp_path / "a.json", NAME, (1,))
    assert recall.best_overlaps()[0].max() == pytest.approx(0.6)
    # found at 0.5, 0.55 and 0.6 of ten thresholds; one of the six objects of both images
    assert recall.summary()["AR@1"] == pytest.approx(100 * 3 / 10 / 6)


def test_overlaps_of_boxes_by_hand():
    ones = np.array([[0.0, 0, 4, 2], [9, 9, 0, 0]])
    others = np.array([[2.0, 0, 4, 2], [0, 0, 2, 2]])
    expected = [[1 / 3, 1.0 * 4 / 8], [0, 0]]
    np.testing.assert_allclose(box_overlaps(ones, others, np.array([False, True])), expected)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"a": 1}, "found a dict, expected COCO"),
        ([{"image_id": 0, "score": 1.0}], "entry 0 is .*expected COCO"),
        ([{"image_id": 0, "score": 1.0, "bbox": [1, 2]}], "entry 0 is"),
        ([3], "entry 0 is 3"),
        (
            [{"image_id": 0, "score": 1.0, "segmentation": rle.encode(np.ones((3, 4), bool))}],
            r"masks of 0 are not of its size \[20, 30\]",
        ),
    ],
    ids=["dict", "neither", "short", "number", "size"],
)
def test_what_is_no_proposal_is_named(tmp_path, content, message):
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match=message):
        score_proposals(tmp_path / "a.json", NAME)


def test_several_methods_in_one_figure(tmp_path, capsys):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    masks, boxes = write(tmp_path / "masks.json"), write(tmp_path / "boxes.json", boxes=True)
    numbers, plot = tmp_path / "numbers.json", tmp_path / "recall.png"
    files = ["--proposals", str(masks), str(boxes), "--dataset", NAME]
    assert run(main, [*files, "--json", str(numbers), "--plot", str(plot)]) == 0
    printed = capsys.readouterr().out
    assert "masks.json: 2 images" in printed
    assert "AR continuous" in printed
    written = json.loads(numbers.read_text())
    assert set(written) == {str(masks), str(boxes)}
    assert written[str(masks)]["coco"]["AR@10"] > 0
    assert plot.stat().st_size > 1000


def test_missing_arguments_are_named(tmp_path, capsys):
    assert run(main, ["--proposals", "a.json"]) == 2
    assert "--proposals needs --dataset" in capsys.readouterr().err
    assert run(main, ["--gt", "somewhere"]) == 2
    assert "--pred DIR and --gt DIR" in capsys.readouterr().err
