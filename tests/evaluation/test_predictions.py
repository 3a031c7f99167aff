from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.evaluation import DatasetEvaluators
from detectron2.structures import Instances
from detectron2.utils import comm
from pycocotools import mask as mask_util

from recseg_d2.data.coco_results import SavedResults, load_results
from recseg_d2.evaluation import LabelMapEvaluator, PredictionRecorder

WORLD_SIZE = 2


def found(masks, scores, **fields) -> dict[str, Instances]:
    """Model output of (K, H, W) masks."""
    masks = torch.as_tensor(np.asarray(masks), dtype=torch.bool)
    instances = Instances(tuple(masks.shape[1:]), pred_masks=masks, scores=torch.tensor(scores))
    for name, value in fields.items():
        instances.set(name, torch.tensor(value))
    return {"instances": instances}


def record(recorder: PredictionRecorder, image_id, output) -> None:
    recorder.process([{"image_id": image_id, "file_name": "images/a.png"}], [output])


def two_squares() -> np.ndarray:
    masks = np.zeros((2, 5, 7), bool)
    masks[0, :2, :3] = masks[1, 3:, 4:] = True
    return masks


def saved(name: str, folder: Path) -> SavedResults:
    return load_results(folder / f"predictions_{name}.json")


def test_round_trip(register, tmp_path):
    name = register()
    recorder = PredictionRecorder(name, tmp_path / "made")
    masks = two_squares()
    record(recorder, 100, found(masks, [0.25, 0.75], pred_classes=[0, 0], step=[0, 2]))
    record(recorder, "text", found(np.zeros((0, 3, 4)), [], pred_classes=[], step=[]))
    assert recorder.evaluate() == {}
    results = saved(name, tmp_path / "made")
    assert (results.dataset, results.categories) == (name, [{"id": 0, "name": "thing"}])
    assert results.images == {
        100: {"id": 100, "file_name": "images/a.png", "height": 5, "width": 7},
        "text": {"id": "text", "file_name": "images/a.png", "height": 3, "width": 4},
    }
    assert results.entries["text"] == []
    first = results.entries[100]
    assert [(e["category_id"], e["score"], e["step"]) for e in first] == [
        (0, 0.25, 0),
        (0, 0.75, 2),
    ]
    for entry, mask in zip(first, masks, strict=True):
        np.testing.assert_array_equal(mask_util.decode(entry["segmentation"]), mask)


@pytest.mark.parametrize(("fields", "options"), [({}, {}), ({"step": [0, 1]}, {"ordered": False})])
def test_models_without_an_order_and_classes(register, tmp_path, fields, options):
    name = register()
    recorder = PredictionRecorder(name, tmp_path, **options)
    record(recorder, 100, found(two_squares(), [0.5, 0.5], **fields))
    recorder.evaluate()
    entries = saved(name, tmp_path).entries[100]
    assert [(e["category_id"], "step" in e) for e in entries] == [(0, False)] * 2


def test_the_highest_scores_stay_in_their_order(register, tmp_path):
    name = register()
    recorder = PredictionRecorder(name, tmp_path, limit=2)
    masks = np.ones((4, 2, 2), bool)
    record(recorder, 100, found(masks, [0.5, 0.125, 0.75, 0.5], step=[0, 1, 2, 3]))
    recorder.evaluate()
    assert [e["step"] for e in saved(name, tmp_path).entries[100]] == [0, 2]


def test_reset_forgets_and_an_image_seen_twice_is_kept_once(register, tmp_path):
    name = register()
    recorder = PredictionRecorder(name, tmp_path)
    record(recorder, 102, found(np.zeros((0, 3, 3)), []))
    recorder.reset()
    for score in (0.5, 0.25):
        record(recorder, 100, found(two_squares()[:1], [score]))
    recorder.evaluate()
    (entries,) = saved(name, tmp_path).entries.values()
    assert [e["score"] for e in entries] == [0.5]


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
        contents.append({p.name: p.read_bytes() for p in (tmp_path / folder).iterdir()})
    assert contents[0] == contents[1]
    assert contents[0].keys() == {f"predictions_{name}.json", f"predictions_{name}_images.json"}


def test_beside_a_scoring_evaluator(register, truth, tmp_path):
    name = register()
    evaluators = DatasetEvaluators([LabelMapEvaluator(name), PredictionRecorder(name, tmp_path)])
    evaluators.reset()
    masks = np.stack([truth["a"] == 1, truth["a"] == 2])
    inputs = [{"image_id": 100, "file_name": "images/a.png"}]
    evaluators.process(inputs, [found(masks, [0.9, 0.8])])
    assert evaluators.evaluate().keys() == {"label_map"}
    assert len(saved(name, tmp_path).entries[100]) == 2


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
    entries = saved(name, tmp_path).entries
    scores = {image_id: found[1]["score"] for image_id, found in entries.items()}
    assert scores == {100: 0.0, 101: 0.0, 102: 0.25}
