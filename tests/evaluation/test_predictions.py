from __future__ import annotations

import gzip
import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.evaluation import DatasetEvaluators
from detectron2.structures import Instances
from detectron2.utils import comm
from pycocotools import mask as mask_util

from recseg_d2.errors import UserError
from recseg_d2.evaluation import LeafEvaluator
from recseg_d2.evaluation.predictions import (
    PredictionRecorder,
    load_predictions,
    predictions_file,
)

WORLD_SIZE = 2


def found(masks, scores, **fields) -> dict[str, Instances]:
    """Model output of (K, H, W) masks."""
    masks = torch.as_tensor(np.asarray(masks), dtype=torch.bool)
    instances = Instances(tuple(masks.shape[1:]), pred_masks=masks, scores=torch.tensor(scores))
    for name, value in fields.items():
        instances.set(name, torch.tensor(value))
    return {"instances": instances}


def record(recorder: PredictionRecorder, image_id, output) -> None:
    recorder.process([{"image_id": image_id}], [output])


def two_squares() -> np.ndarray:
    masks = np.zeros((2, 5, 7), bool)
    masks[0, :2, :3] = masks[1, 3:, 4:] = True
    return masks


def test_round_trip(register, tmp_path):
    name = register()
    recorder = PredictionRecorder(name, tmp_path / "made")
    masks = two_squares()
    record(recorder, 100, found(masks, [0.25, 0.75], pred_classes=[1, 0], step=[0, 2]))
    record(recorder, "text", found(np.zeros((0, 3, 4)), [], pred_classes=[], step=[]))
    assert recorder.evaluate() == {}
    saved = load_predictions(tmp_path / "made" / predictions_file(name))
    assert (saved.dataset, saved.classes) == (name, ("thing",))
    first, second = saved.images
    assert (first["image_id"], first["height"], first["width"]) == (100, 5, 7)
    assert second == {"image_id": "text", "height": 3, "width": 4, "instances": []}
    kept = [(i["category_id"], i["score"], i["step"]) for i in first["instances"]]
    assert kept == [(1, 0.25, 0), (0, 0.75, 2)]
    for instance, mask in zip(first["instances"], masks, strict=True):
        np.testing.assert_array_equal(mask_util.decode(instance["segmentation"]), mask)


@pytest.mark.parametrize(("fields", "options"), [({}, {}), ({"step": [0, 1]}, {"ordered": False})])
def test_models_without_an_order_and_classes(register, tmp_path, fields, options):
    name = register()
    recorder = PredictionRecorder(name, tmp_path, **options)
    record(recorder, 100, found(two_squares(), [0.5, 0.5], **fields))
    recorder.evaluate()
    (image,) = load_predictions(tmp_path / predictions_file(name)).images
    assert [(i["category_id"], i["step"]) for i in image["instances"]] == [(0, None)] * 2


def test_the_highest_scores_stay_in_their_order(register, tmp_path):
    name = register()
    recorder = PredictionRecorder(name, tmp_path, limit=2)
    masks = np.ones((4, 2, 2), bool)
    record(recorder, 100, found(masks, [0.5, 0.125, 0.75, 0.5], step=[0, 1, 2, 3]))
    recorder.evaluate()
    (image,) = load_predictions(tmp_path / predictions_file(name)).images
    assert [i["step"] for i in image["instances"]] == [0, 2]


def test_reset_forgets_and_an_image_seen_twice_is_kept_once(register, tmp_path):
    name = register()
    recorder = PredictionRecorder(name, tmp_path)
    record(recorder, 102, found(np.zeros((0, 3, 3)), []))
    recorder.reset()
    for score in (0.5, 0.25):
        record(recorder, 100, found(two_squares()[:1], [score]))
    recorder.evaluate()
    (image,) = load_predictions(tmp_path / predictions_file(name)).images
    assert [i["score"] for i in image["instances"]] == [0.5]


def test_nothing_to_save_leaves_no_file(register, tmp_path):
    recorder = PredictionRecorder(register(), tmp_path)
    record(recorder, 100, {"proposals": None})
    recorder.evaluate()
    assert list(tmp_path.iterdir()) == []


def test_the_same_predictions_make_the_same_file(register, tmp_path):
    name = register()
    contents = []
    for folder in ("one", "two"):
        recorder = PredictionRecorder(name, tmp_path / folder)
        record(recorder, 100, found(two_squares(), [0.5, 0.25]))
        recorder.evaluate()
        contents.append((tmp_path / folder / predictions_file(name)).read_bytes())
    assert contents[0] == contents[1]


def test_beside_a_scoring_evaluator(register, truth, tmp_path):
    name = register()
    evaluators = DatasetEvaluators([LeafEvaluator(name), PredictionRecorder(name, tmp_path)])
    evaluators.reset()
    masks = np.stack([truth["a"] == 1, truth["a"] == 2])
    evaluators.process([{"image_id": 100}], [found(masks, [0.9, 0.8])])
    assert evaluators.evaluate().keys() == {"leaf"}
    assert (tmp_path / predictions_file(name)).is_file()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"plain text", "cannot be read"),
        (gzip.compress(b"{}")[:-9], "cannot be read"),
        (gzip.compress(b"[1]"), "version None"),
        (gzip.compress(json.dumps({"version": 99}).encode()), "version 99"),
    ],
)
def test_files_of_another_kind_are_refused(content, message, tmp_path):
    path = tmp_path / "predictions_x.json.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_predictions(path)


def _worker(rank: int, name: str, folder: str) -> None:
    """Rank 0 sees images 0 and 1, rank 1 sees 1 and 2, as a padded sampler would have it."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORLD_SIZE
    )
    comm.create_local_process_group(WORLD_SIZE)
    recorder = PredictionRecorder(name, folder)
    for k in (rank, rank + 1):
        record(recorder, 100 + k, found(two_squares(), [0.5, rank / 4]))
    assert recorder.evaluate() == {}
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes(register, tmp_path):
    name = register()
    worker = partial(_worker, name=name, folder=str(tmp_path))
    torch.multiprocessing.start_processes(worker, nprocs=WORLD_SIZE, start_method="fork")
    (path,) = Path(tmp_path).glob("predictions_*")
    scores = {i["image_id"]: i["instances"][1]["score"] for i in load_predictions(path).images}
    assert scores == {100: 0.0, 101: 0.0, 102: 0.25}
