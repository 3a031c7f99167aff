from __future__ import annotations

import json
import logging
import math
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.structures import Instances
from detectron2.utils import comm

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.errors import UserError
from recseg_d2.evaluation import VocSegmEvaluator

WORLD_SIZE = 2
SHAPE = (10, 12)
CLASSES = ["cat", "person"]


def block(rows: slice, columns: slice) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[rows, columns] = True
    return mask


CAT = block(slice(0, 4), slice(0, 10))  # 40 pixels
PERSON = block(slice(5, 10), slice(0, 4))  # 20 pixels
VOID = block(slice(5, 10), slice(4, 8))  # 20 pixels
NOTHING = block(slice(5, 10), slice(8, 12))


def annotation(mask: np.ndarray, category: int = 0, **more: int) -> dict:
    (found,) = label_map_to_annotations(mask.astype(np.uint8))
    return {**found, "category_id": category, **more}


def record(image_id: int, *annotations: dict) -> dict:
    size = {"height": SHAPE[0], "width": SHAPE[1]}
    return {
        "file_name": f"{image_id}.png",
        "image_id": image_id,
        **size,
        "annotations": list(annotations),
    }


def output(*found: tuple[np.ndarray, int, float]) -> dict[str, Instances]:
    instances = Instances(SHAPE)
    masks = np.stack([f[0] for f in found]) if found else np.zeros((0, *SHAPE), bool)
    instances.pred_masks = torch.from_numpy(masks)
    instances.pred_classes = torch.tensor([f[1] for f in found], dtype=torch.int64)
    instances.scores = torch.tensor([f[2] for f in found], dtype=torch.float32)
    return {"instances": instances}


@pytest.fixture
def dataset(register):
    """Image 1: a cat, a person and void; image 2: a cat; image 3: nothing."""
    name = register(
        [
            record(1, annotation(CAT), annotation(PERSON, 1), annotation(VOID, iscrowd=1)),
            record(2, annotation(CAT)),
            record(3),
        ]
    )
    MetadataCatalog.remove(name)
    MetadataCatalog.get(name).set(thing_classes=CLASSES)
    return name


def evaluate(dataset: str, outputs: dict[int, dict], **options) -> dict[str, float]:
    evaluator = VocSegmEvaluator(dataset, **options)
    for image_id, found in outputs.items():
        evaluator.process([{"image_id": image_id}], [found])
    return evaluator.evaluate()["voc_segm"]


PERFECT = {
    1: output((CAT, 0, 0.9), (PERSON, 1, 0.8)),
    2: output((CAT, 0, 0.7)),
    3: output(),
}


def test_perfect(dataset):
    scores = evaluate(dataset, PERFECT)
    means = ("APr50", "APr70", "APr50area", "APr70area", "AP50", "AP60", "AP70", "AP80")
    single = [f"{key}-{name}" for name in CLASSES for key in ("APr50", "AP50")]
    assert scores.keys() == {*means, *single}
    assert set(scores.values()) == {100.0}


def test_by_hand(dataset, tmp_path):
    """A cat found at IoU 0.6, a person missed, a false cat between the two right ones."""
    partly = block(slice(0, 4), slice(0, 6))
    found = {1: output((partly, 0, 0.9)), 2: output((NOTHING, 0, 0.8), (CAT, 0, 0.7)), 3: output()}
    scores = evaluate(dataset, found, output_dir=tmp_path)
    # Cats at 0.5: right, wrong, right: precision 1 up to recall 1/2, then 2/3.
    assert scores["APr50-cat"] == pytest.approx(100 * (6 + 5 * 2 / 3) / 11)
    assert scores["AP50-cat"] == pytest.approx(100 * (51 + 50 * 2 / 3) / 101)
    assert scores["APr50-person"] == scores["AP50-person"] == 0.0
    assert scores["APr50area"] == pytest.approx(100 * (1 / 2 + 1 / 2 * 2 / 3) / 2)
    saved = json.loads((tmp_path / f"voc_segm_{dataset}.json").read_text())
    # At 0.7: wrong, wrong, right: precision 1/3 up to recall 1/2.
    assert saved["classes"]["cat"]["APr70"] == pytest.approx(100 * 6 * (1 / 3) / 11)
    assert saved["mean"]["APr50"] == pytest.approx(scores["APr50"])
    assert saved["classes"]["cat"]["AP60"] == scores["AP50-cat"]  # an IoU of 0.6 is enough


def test_void_is_taken_out_of_predictions(dataset):
    found = dict(PERFECT)
    found[1] = output((CAT, 0, 0.9), (PERSON | VOID, 1, 0.8))  # IoU 0.5 with void, 1 without
    assert evaluate(dataset, found)["AP80"] == 100.0


def test_what_lies_in_void_is_dropped(dataset):
    found = dict(PERFECT)
    wholly, mostly = VOID, VOID | block(slice(5, 10), slice(8, 10))  # 20 of 30 pixels
    found[1] = output((wholly, 0, 1.0), (mostly, 0, 1.0), (CAT, 0, 0.9), (PERSON, 1, 0.8))
    scores = evaluate(dataset, found)
    assert scores["APr50-cat"] == scores["AP60"] == 100.0
    assert scores["AP80"] < 100.0  # there, two thirds are too few to be dropped


def test_difficult_objects_need_not_be_found(register):
    name = register([record(1, annotation(CAT), annotation(PERSON, difficult=1))])
    assert evaluate(name, {1: output((CAT, 0, 0.5))})["APr50"] == 100.0
    assert evaluate(name, {1: output((CAT, 0, 0.5), (PERSON, 0, 0.9))})["APr50"] == 100.0


def test_classes_without_objects_are_left_out(register):
    name = register([record(1, annotation(CAT))])
    MetadataCatalog.remove(name)
    MetadataCatalog.get(name).set(thing_classes=CLASSES)
    scores = evaluate(name, {1: output((CAT, 0, 0.5), (PERSON, 1, 0.9))})
    assert math.isnan(scores["APr50-person"])
    assert scores["APr50"] == scores["AP80"] == 100.0


def test_nothing_predicted_and_nothing_there(dataset, register, tmp_path):
    nothing = {k: output() for k in (1, 2, 3)}
    assert set(evaluate(dataset, nothing).values()) == {0.0}
    name = register([record(1)])
    assert all(map(math.isnan, evaluate(name, {1: output()}, output_dir=tmp_path).values()))
    saved = json.loads((tmp_path / f"voc_segm_{name}.json").read_text())
    assert saved["mean"]["APr50"] is None


def test_one_huge_object(register):
    everything = np.ones(SHAPE, dtype=bool)
    name = register([record(1, annotation(everything))])
    assert evaluate(name, {1: output((everything, 0, 0.5))})["AP80"] == 100.0


def test_reset_forgets_and_missing_images_warn(dataset, caplog):
    evaluator = VocSegmEvaluator(dataset)
    evaluator.process([{"image_id": 1}], [PERFECT[1]])
    evaluator.reset()
    evaluator.process([{"image_id": 2}], [PERFECT[2]])
    with caplog.at_level(logging.WARNING, logger="recseg_d2"):
        scores = evaluator.evaluate()["voc_segm"]
    assert "1 of 3 images" in caplog.text
    assert math.isnan(scores["APr50-person"])


def test_wrong_size_image_and_metadata_are_refused(dataset, register):
    small = output((CAT, 0, 0.9))
    small["instances"].pred_masks = small["instances"].pred_masks[:, :5]
    with pytest.raises(UserError, match=r"1\.png: found predicted masks of 12x5 pixels.*12x10"):
        evaluate(dataset, {1: small})
    with pytest.raises(UserError, match="image_id 9"):
        evaluate(dataset, {9: output()})
    name = register([record(1)])
    MetadataCatalog.remove(name)
    with pytest.raises(UserError, match=f"{name}.*thing_classes"):
        VocSegmEvaluator(name)


def _worker(rank: int, name: str, folder: str) -> None:
    """Rank 0 sees images 1 and 2, rank 1 sees 2 and 3, as a padded sampler would have it."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORLD_SIZE
    )
    comm.create_local_process_group(WORLD_SIZE)
    evaluator = VocSegmEvaluator(name, output_dir=folder)
    for image_id in (rank + 1, rank + 2):
        evaluator.process([{"image_id": image_id}], [PERFECT[image_id]])
    Path(folder, f"rank{rank}.json").write_text(json.dumps(evaluator.evaluate()))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes(dataset, tmp_path):
    worker = partial(_worker, name=dataset, folder=str(tmp_path))
    torch.multiprocessing.start_processes(worker, nprocs=WORLD_SIZE, start_method="fork")
    main, other = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in range(WORLD_SIZE))
    assert set(main["voc_segm"].values()) == {100.0}
    assert other == {}
