"""The proposal evaluator: against COCOeval, its files, and in two processes."""

from __future__ import annotations

import contextlib
import io
import json
import logging
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm
from PIL import Image
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from recseg_d2.data.coco_results import load_results
from recseg_d2.errors import UserError
from recseg_d2.evaluation import SegmentProposalEvaluator

WORLD_SIZE = 2
SIDE = 60
LIMITS = (2, 5, 9)


def proposals(masks: np.ndarray, logits: list[float]) -> dict[str, Instances]:
    """A model's output; its "instances" are there to be left alone."""
    found = Instances(masks.shape[1:])
    found.proposal_boxes = Boxes(torch.zeros(len(masks), 4))
    found.objectness_logits = torch.tensor(logits)
    found.pred_masks = torch.from_numpy(masks.astype(bool))
    nothing = Instances(masks.shape[1:])
    nothing.scores, nothing.pred_masks = torch.zeros(0), torch.zeros(0, *masks.shape[1:])
    return {"proposals": found, "instances": nothing}


def squares(rng: np.random.Generator, count: int) -> np.ndarray:
    masks = np.zeros((count, SIDE, SIDE), dtype=np.uint8)
    for mask in masks:
        (y, x), side = rng.integers(0, 8, 2) * 5, int(rng.integers(1, 5)) * 10
        mask[y : y + side, x : x + side] = 1
    return masks


@pytest.fixture
def scenes(register):
    """A data set of crowded squares of three classes, some of them crowd regions; and outputs."""
    rng = np.random.default_rng(0)
    dicts, outputs = [], []
    for image in range(4):
        truth, found = squares(rng, 5), squares(rng, 12)
        found[:4] = truth[:4]
        annotations = [
            {
                "bbox": [0, 0, 1, 1],
                "bbox_mode": 1,
                "category_id": int(rng.integers(3)),
                "iscrowd": int(rng.random() < 0.3),
                "area": float(mask.sum() * 1.1),
                "segmentation": coco_mask.encode(np.asfortranarray(mask)),
            }
            for mask in truth
        ]
        dicts.append(
            {"file_name": f"{image}.png", "image_id": image, "height": SIDE, "width": SIDE,
             "annotations": annotations if image else []}
        )  # fmt: skip
        outputs.append(proposals(found, (rng.integers(-3, 4, 12) / 2).tolist()))
    return register(dicts), outputs


def coco_recall(name: str, path: Path) -> np.ndarray:
    """(A, L) mean recall in 0..100 of the written file, by pycocotools, NaN where it says -1."""
    annotations = [
        {**a, "id": k + 1, "image_id": record["image_id"]}
        for k, (record, a) in enumerate(
            (r, a) for r in DatasetCatalog.get(name) for a in r["annotations"]
        )
    ]
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        images = [r["image_id"] for r in DatasetCatalog.get(name)]
        truth.dataset = {
            "images": [{"id": image, "height": SIDE, "width": SIDE} for image in images],
            "categories": [{"id": k} for k in range(3)],
            "annotations": annotations,
        }
        truth.createIndex()
        results = json.loads(path.read_text())
        for result in results:
            del result["bbox"]  # with one, loadRes takes its area
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.params.useCats, evaluation.params.maxDets = 0, list(LIMITS)
        evaluation.evaluate()
        evaluation.accumulate()
    recall = evaluation.eval["recall"][:, 0]
    return 100 * np.where(recall < 0, np.nan, recall).mean(axis=0)


def test_equals_coco_on_the_file_that_it_writes(scenes, tmp_path, caplog):
    name, outputs = scenes
    evaluator = SegmentProposalEvaluator(name, output_dir=tmp_path, limits=LIMITS)
    with caplog.at_level(logging.INFO, logger="recseg_d2"):
        for image, output in enumerate(outputs):
            evaluator.process([{"image_id": image}], [output])
        results = evaluator.evaluate()["segment_proposal"]
    expected = coco_recall(name, tmp_path / f"proposals_{name}.json")
    keys = [f"AR@{n}{size}" for size in ("", "-small", "-medium", "-large") for n in LIMITS]
    assert list(results) == keys
    np.testing.assert_allclose(list(results.values()), expected.ravel())
    assert results["AR@9"] > results["AR@2"] > 0
    assert "AR continuous" in caplog.text

    saved = load_results(tmp_path / f"proposals_{name}.json").entries
    assert [len(saved[image]) for image in range(4)] == [LIMITS[-1]] * 4
    assert all(0 < entry["score"] < 1 for entry in saved[0])


def test_its_numbers_and_its_picture(scenes, tmp_path):
    name, outputs = scenes
    evaluator = SegmentProposalEvaluator(name, output_dir=tmp_path, limits=LIMITS, continuous=True)
    evaluator.process([{"image_id": k} for k in range(4)], outputs)
    results = evaluator.evaluate()["segment_proposal"]
    numbers = json.loads((tmp_path / f"average_recall_{name}.json").read_text())
    assert numbers["images"] == 4
    truth = [a for r in DatasetCatalog.get(name) for a in r["annotations"]]
    assert numbers["objects"] == sum(not a["iscrowd"] for a in truth)
    assert numbers["continuous"]["AR@5"] == pytest.approx(results["AR@5"])
    assert numbers["coco"]["AR@5"] != numbers["continuous"]["AR@5"]
    assert numbers["coco"]["AR@5"] == pytest.approx(100 * np.mean(numbers["recall"]["5"]))
    assert numbers["coco"]["AR@5-large"] is None  # NaN: no such object
    assert len(numbers["curve"]["9"]) == len(numbers["curve"]["iou"]) == 101
    assert sorted(numbers["curve"]["9"], reverse=True) == numbers["curve"]["9"]
    pytest.importorskip("matplotlib")
    picture = np.asarray(Image.open(tmp_path / f"recall_iou_{name}.png"))
    assert len(np.unique(picture)) > 10


def test_without_matplotlib_the_numbers_are_written(scenes, tmp_path, monkeypatch, caplog):
    name, outputs = scenes
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    evaluator = SegmentProposalEvaluator(name, output_dir=tmp_path)
    evaluator.process([{"image_id": 1}], outputs[1:2])
    with caplog.at_level(logging.WARNING, logger="recseg_d2"):
        evaluator.evaluate()
    assert "pip install 'recseg_d2[plots]'" in caplog.text
    assert "found predictions for 1 of 4 images" in caplog.text
    assert {p.suffix for p in tmp_path.iterdir()} == {".json"}


def test_models_without_proposals_are_scored_on_their_instances(register, truth):
    found = Instances((4, 6))
    found.scores = torch.tensor([0.2, 0.9])
    found.pred_masks = torch.from_numpy(np.stack([truth["a"] == 1, truth["a"] == 2]))
    evaluator = SegmentProposalEvaluator(register(), limits=(1, 2))
    evaluator.process([{"image_id": 100}], [{"instances": found}])
    results = evaluator.evaluate()["segment_proposal"]
    assert (results["AR@1"], results["AR@2"]) == (50.0, 100.0)
    assert (results["AR@2-small"], math.isnan(results["AR@2-large"])) == (100.0, True)


def test_certain_proposals_keep_their_order(register, truth):
    """In single precision both probabilities are 1."""
    output = proposals(np.stack([truth["a"] < 0, truth["a"] == 1]), [18.0, 25.0])
    evaluator = SegmentProposalEvaluator(register(), limits=(1,))
    evaluator.process([{"image_id": 100}], [output])
    assert evaluator.evaluate()["segment_proposal"]["AR@1"] == 50.0


def test_nothing_found_and_nothing_processed(register, truth, tmp_path):
    evaluator = SegmentProposalEvaluator(register(), output_dir=tmp_path)
    assert math.isnan(evaluator.evaluate()["segment_proposal"]["AR@100"])
    evaluator.process([{"image_id": 100}], [proposals(np.zeros((0, 4, 6)), [])])
    assert evaluator.evaluate()["segment_proposal"]["AR@100"] == 0.0
    evaluator.reset()
    assert math.isnan(evaluator.evaluate()["segment_proposal"]["AR@100"])


def test_wrong_input_is_refused(register, truth):
    evaluator = SegmentProposalEvaluator(register())
    with pytest.raises(UserError, match=r"images/a.png: found predicted masks of 5x2 pixels"):
        evaluator.process([{"image_id": 100}], [proposals(truth["b"][None] > 0, [1.0])])
    with pytest.raises(UserError, match="image_id 5"):
        evaluator.process([{"image_id": 5}], [proposals(truth["a"][None] > 0, [1.0])])


def _worker(rank: int, name: str, folder: str, outputs: list[dict[str, Instances]]) -> None:
    """Rank 0 sees images 0 to 2, rank 1 sees 2 and 3, as a padded sampler would have it."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORLD_SIZE
    )
    comm.create_local_process_group(WORLD_SIZE)
    evaluator = SegmentProposalEvaluator(name, output_dir=Path(folder, "out"), limits=LIMITS)
    for k in range(2 * rank, 3 + rank):
        evaluator.process([{"image_id": k}], [outputs[k]])
    Path(folder, f"rank{rank}.json").write_text(json.dumps(evaluator.evaluate()))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes_give_what_one_gives(scenes, tmp_path):
    name, outputs = scenes
    alone = SegmentProposalEvaluator(name, output_dir=tmp_path / "alone", limits=LIMITS)
    alone.process([{"image_id": k} for k in range(4)], outputs)
    expected = alone.evaluate()
    worker = partial(_worker, name=name, folder=str(tmp_path), outputs=outputs)
    torch.multiprocessing.start_processes(worker, nprocs=WORLD_SIZE, start_method="fork")
    main, other = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in range(WORLD_SIZE))
    assert main["segment_proposal"] == pytest.approx(expected["segment_proposal"], nan_ok=True)
    assert other == {}
    for file in (f"proposals_{name}.json", f"average_recall_{name}.json"):
        assert (tmp_path / "out" / file).read_text() == (tmp_path / "alone" / file).read_text()
