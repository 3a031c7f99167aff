from __future__ import annotations

import json
import logging
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.evaluation import DatasetEvaluators
from detectron2.structures import Instances
from detectron2.utils import comm

from recseg_d2 import rle
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.errors import UserError
from recseg_d2.evaluation import LabelMapEvaluator

WORLD_SIZE = 2


def predicted(labels: np.ndarray) -> dict[str, Instances]:
    """Model output whose instances are the objects of a label map."""
    values = np.unique(labels[labels > 0])
    instances = Instances(labels.shape)
    instances.pred_masks = torch.from_numpy(labels[None] == values[:, None, None])
    instances.scores = torch.linspace(0.9, 0.6, len(values))
    return {"instances": instances}


def process(evaluator: LabelMapEvaluator, image_id: int, labels: np.ndarray) -> None:
    evaluator.process([{"image_id": image_id}], [predicted(labels)])


def test_exact_predictions(register, truth):
    evaluator = LabelMapEvaluator(register())
    inputs = [{"image_id": 100}, {"image_id": 101}]
    evaluator.process(inputs, [predicted(truth["a"]), predicted(truth["b"])])
    expected = {"SBD": 100.0, "DiC": 0.0, "absDiC": 0.0, "FGBGDice": 100.0}
    assert evaluator.evaluate() == {"label_map": expected}


def test_by_hand_with_files(register, truth, tmp_path):
    name = register()
    evaluator = LabelMapEvaluator(name, output_dir=tmp_path / "inference")
    process(evaluator, 100, (truth["a"] > 0).astype(int))  # merged
    process(evaluator, 101, np.zeros_like(truth["b"]))  # missed
    process(evaluator, 102, truth["c"])  # nothing there, nothing found: SBD 0 by the rule
    scores = evaluator.evaluate()["label_map"]
    assert scores["SBD"] == pytest.approx((200 / 3 + 0 + 0) / 3)
    assert (scores["DiC"], scores["absDiC"]) == (pytest.approx(-2 / 3), pytest.approx(2 / 3))
    assert scores["FGBGDice"] == 50.0  # of the two images that define it
    saved = json.loads((tmp_path / "inference" / f"label_map_{name}.json").read_text())
    assert saved["images"]["b"] == {"SBD": 0.0, "DiC": -1, "absDiC": 1, "FGBGDice": 0.0}
    assert saved["images"].keys() == {"a", "b", "c"}
    assert saved["mean"] == pytest.approx(scores)


def test_overlapping_predictions_are_made_exclusive(register, truth):
    output = predicted(truth["a"])
    output["instances"].pred_masks[1] = torch.from_numpy(truth["a"] > 0)  # the less certain one
    evaluator = LabelMapEvaluator(register())
    evaluator.process([{"image_id": 100}], [output])
    assert evaluator.evaluate()["label_map"]["SBD"] == 100.0


def test_reset_forgets(register, truth):
    evaluator = LabelMapEvaluator(register(), metrics=["dic"])
    process(evaluator, 100, np.zeros_like(truth["a"]))
    evaluator.reset()
    process(evaluator, 100, truth["a"])
    assert evaluator.evaluate() == {"label_map": {"DiC": 0.0, "absDiC": 0.0}}


def test_an_image_seen_twice_counts_once(register, truth):
    evaluator = LabelMapEvaluator(register(), metrics=["dic"])
    for image_id, labels in ((100, np.zeros_like(truth["a"])),) * 2 + ((101, truth["b"]),):
        process(evaluator, image_id, labels)
    assert evaluator.evaluate()["label_map"]["DiC"] == -1.0


def test_partial_evaluation_warns(register, truth, caplog):
    evaluator = LabelMapEvaluator(register())
    process(evaluator, 100, truth["a"])
    with caplog.at_level(logging.WARNING, logger="recseg_d2"):
        evaluator.evaluate()
    assert "found predictions for 1 of 3 images" in caplog.text


def test_nothing_processed_gives_nan(register):
    assert math.isnan(LabelMapEvaluator(register()).evaluate()["label_map"]["SBD"])


def test_prediction_of_another_size_is_an_error(register, truth):
    with pytest.raises(ValueError, match="different sizes"):
        process(LabelMapEvaluator(register()), 100, truth["b"])


def test_unknown_image_and_metric_are_refused(register, truth):
    name = register()
    with pytest.raises(UserError, match="image_id 5"):
        process(LabelMapEvaluator(name), 5, truth["a"])
    with pytest.raises(UserError, match="nonsense"):
        LabelMapEvaluator(name, metrics=["nonsense"])


def test_among_other_evaluators(register, truth):
    evaluators = DatasetEvaluators([LabelMapEvaluator(register())])
    evaluators.reset()
    evaluators.process([{"image_id": 100}], [predicted(truth["a"])])
    assert evaluators.evaluate()["label_map"]["SBD"] == 100.0


def _worker(rank: int, name: str, folder: str, predictions: list[np.ndarray]) -> None:
    """Rank 0 sees images 0 and 1, rank 1 sees 1 and 2, as a padded sampler would have it."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORLD_SIZE
    )
    comm.create_local_process_group(WORLD_SIZE)
    evaluator = LabelMapEvaluator(name, metrics=["dic"], output_dir=folder)
    for k in (rank, rank + 1):
        process(evaluator, 100 + k, predictions[k])
    Path(folder, f"rank{rank}.json").write_text(json.dumps(evaluator.evaluate()))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes(register, truth, tmp_path):
    name = register()
    nothing = [np.zeros_like(labels) for labels in truth.values()]
    worker = partial(_worker, name=name, folder=str(tmp_path), predictions=nothing)
    torch.multiprocessing.start_processes(worker, nprocs=WORLD_SIZE, start_method="fork")
    main, other = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in range(WORLD_SIZE))
    assert main == {
        "label_map": {"DiC": pytest.approx((-2 - 1 - 0) / 3), "absDiC": pytest.approx(1.0)}
    }
    assert other == {}
    saved = json.loads((tmp_path / f"label_map_{name}.json").read_text())
    assert saved["images"].keys() == {"a", "b", "c"}


def test_nothing_is_scored_where_nothing_is_known(register, truth):
    """Whatever is predicted in the ignored columns, the scores are those of the rest."""
    unknown = np.zeros(truth["a"].shape, bool)
    unknown[:, 3:] = True
    record = {
        "file_name": "a.png", "image_id": 100, "height": 4, "width": 6,
        "annotations": label_map_to_annotations(np.where(unknown, 0, truth["a"])),
        "ignored": rle.encode(unknown),
    }  # fmt: skip
    name = register([record])
    scores = []
    for there in (truth["a"], 0, 2, np.arange(6)):
        evaluator = LabelMapEvaluator(name)
        process(evaluator, 100, np.where(unknown, there, truth["a"]))
        scores.append(evaluator.evaluate()["label_map"])
    assert scores == [{"SBD": 100.0, "DiC": 0.0, "absDiC": 0.0, "FGBGDice": 100.0}] * 4
