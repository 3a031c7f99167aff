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
from PIL import Image

from recseg_d2.errors import UserError
from recseg_d2.evaluation import CityscapesEvaluator, score_submission

WORLD_SIZE = 2
SHAPE = (40, 60)
NAMES = ("ulm_000000_000019", "ulm_000001_000019", "bonn_000000_000019")
CAR_ID, PERSON_ID, ROAD = 26, 24, 7


def box(top: int, left: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[top : top + 38, left : left + 28] = True  # 1064 pixels
    return mask


CAR, PERSON = box(1, 1), box(1, 31)


def write_truth(folder: Path, name: str, *regions: tuple[int, np.ndarray], disparity: int) -> dict:
    """A standard dict with all files; the left half has the disparity, the right half none."""
    ids = np.full(SHAPE, ROAD, dtype=np.uint16)
    for number, mask in regions:
        ids[mask] = number
    stereo = np.full(SHAPE, disparity, dtype=np.uint16)
    stereo[:, SHAPE[1] // 2 :] = 0
    Image.fromarray(ids).save(folder / f"{name}_gtFine_instanceIds.png")
    Image.fromarray(stereo).save(folder / f"{name}_disparity.png")
    camera = {"extrinsic": {"baseline": 0.2}, "intrinsic": {"fx": 2000.0}}
    (folder / f"{name}_camera.json").write_text(json.dumps(camera))
    return {
        "file_name": str(folder / f"{name}_leftImg8bit.png"),
        "image_id": name,
        "height": SHAPE[0],
        "width": SHAPE[1],
        "annotations": [],
        "instance_ids_file": str(folder / f"{name}_gtFine_instanceIds.png"),
        "disparity_file": str(folder / f"{name}_disparity.png"),
        "camera_file": str(folder / f"{name}_camera.json"),
    }


@pytest.fixture
def records(tmp_path) -> list[dict]:
    """A car and a person; a car 80 m away and a group of persons; nothing."""
    folder = tmp_path / "gt"
    folder.mkdir()
    return [
        write_truth(folder, NAMES[0], (26001, CAR), (24000, PERSON), disparity=1 + 256 * 10),
        write_truth(folder, NAMES[1], (26000, CAR), (24, PERSON), disparity=1 + 256 * 5),
        write_truth(folder, NAMES[2], disparity=0),
    ]


@pytest.fixture
def dataset(register, records):
    return with_classes(register(records))


def with_classes(name: str) -> str:
    MetadataCatalog.remove(name)
    MetadataCatalog.get(name).set(thing_classes=["car", "person"], label_ids=[CAR_ID, PERSON_ID])
    return name


def output(*found: tuple[np.ndarray, int, float]) -> dict[str, Instances]:
    instances = Instances(SHAPE)
    masks = np.stack([f[0] for f in found]) if found else np.zeros((0, *SHAPE), bool)
    instances.pred_masks = torch.from_numpy(masks)
    instances.pred_classes = torch.tensor([f[1] for f in found], dtype=torch.int64)
    instances.scores = torch.tensor([f[2] for f in found], dtype=torch.float32)
    return {"instances": instances}


PERFECT = {
    NAMES[0]: output((CAR, 0, 0.9), (PERSON, 1, 0.8)),
    NAMES[1]: output((CAR, 0, 0.7), (PERSON, 1, 0.95)),  # the group: dropped
    NAMES[2]: output(),
}


def evaluate(dataset: str, outputs: dict[str, dict], **options) -> dict[str, float]:
    evaluator = CityscapesEvaluator(dataset, **options)
    for image_id, found in outputs.items():
        evaluator.process([{"image_id": image_id}], [found])
    return evaluator.evaluate()["cityscapes"]


def test_perfect(dataset):
    scores = evaluate(dataset, PERFECT)
    keys = ("AP", "AP50%", "AP100m", "AP50m", "AP50%50m")
    single = [f"{key}-{name}" for name in ("car", "person") for key in keys]
    assert scores.keys() == {*keys, *single}
    unknown = {k for k, v in scores.items() if math.isnan(v)}
    # The person has no disparity, so within no distance is any person.
    assert unknown == {"AP100m-person", "AP50m-person", "AP50%50m-person"}
    assert {v for k, v in scores.items() if k not in unknown} == {100.0}


def test_by_hand_with_files_that_score_the_same(dataset, tmp_path):
    """The far car and the person are missed; there is one false car in the empty image."""
    found = {NAMES[0]: output((CAR, 0, 0.9)), NAMES[1]: output(), NAMES[2]: output((CAR, 0, 0.95))}
    scores = evaluate(dataset, found, output_dir=tmp_path / "out")
    # .95 wrong, .9 right, of two cars: the curve (0, 1) (0, 0) (1/2, 1/2)
    assert scores["AP-car"] == pytest.approx(100 * 1 / 2 * (0 + 1 / 2) / 2)
    assert scores["AP50m-car"] == pytest.approx(
        100 * 1 * (0 + 1 / 2) / 2
    )  # the far car is no object
    assert scores["AP100m-car"] == scores["AP-car"]
    assert scores["AP-person"] == 0.0
    assert scores["AP"] == pytest.approx(scores["AP-car"] / 2)
    saved = json.loads((tmp_path / "out" / f"cityscapes_{dataset}.json").read_text())
    assert saved["car"]["AP"] == pytest.approx(scores["AP-car"])
    assert saved["person"]["AP50m"] is None
    folder = tmp_path / "out" / f"cityscapes_submission_{dataset}"
    assert sorted(p.name for p in folder.glob("*.txt")) == sorted(f"{n}_pred.txt" for n in NAMES)
    again = score_submission(dataset, folder)
    assert again["car"]["AP"] == pytest.approx(scores["AP-car"])
    assert again["average"] == pytest.approx({k: scores[k] for k in again["average"]})


def test_without_distances(register, records):
    del records[1]["camera_file"]
    scores = evaluate(with_classes(register(records)), PERFECT)
    assert scores.keys() == {
        "AP", "AP50%", "AP-car", "AP50%-car", "AP-person", "AP50%-person"
    }  # fmt: skip


def test_without_ground_truth_there_is_only_the_submission(register, records, tmp_path):
    for record in records:
        del record["instance_ids_file"]
    name = with_classes(register(records))
    evaluator = CityscapesEvaluator(name, output_dir=tmp_path / "out")
    evaluator.process([{"image_id": NAMES[0]}], [PERFECT[NAMES[0]]])
    assert evaluator.evaluate() == {}
    folder = tmp_path / "out" / f"cityscapes_submission_{name}"
    assert len(list(folder.glob("*.png"))) == 2
    with pytest.raises(UserError, match="instance_ids_file"):
        score_submission(name, folder)


def test_nothing_predicted_reset_and_missing_images(dataset, caplog):
    nothing = evaluate(dataset, {name: output() for name in NAMES})
    assert (nothing["AP"], nothing["AP50m"]) == (0.0, 0.0)
    evaluator = CityscapesEvaluator(dataset)
    evaluator.process([{"image_id": NAMES[0]}], [output()])
    evaluator.reset()
    evaluator.process([{"image_id": NAMES[1]}], [PERFECT[NAMES[1]]])
    with caplog.at_level(logging.WARNING, logger="recseg_d2"):
        assert evaluator.evaluate()["cityscapes"]["AP"] == 100.0
    assert "1 of 3 images" in caplog.text


def test_wrong_input_is_refused_by_name(dataset, register, records, tmp_path):
    small = output((CAR, 0, 0.9))
    small["instances"].pred_masks = small["instances"].pred_masks[:, :5]
    with pytest.raises(UserError, match=f"{NAMES[0]}.*found predicted masks of 60x5 pixels"):
        evaluate(dataset, {NAMES[0]: small})
    with pytest.raises(UserError, match="image_id 'jena'"):
        evaluate(dataset, {"jena": output()})
    Path(records[0]["camera_file"]).write_text('{"extrinsic": {}}')
    with pytest.raises(UserError, match=r"camera.json: .*extrinsic.baseline"):
        evaluate(dataset, {NAMES[0]: output()})
    Path(records[1]["disparity_file"]).write_bytes(b"no image")
    with pytest.raises(UserError, match=r"disparity.png: cannot be read"):
        evaluate(dataset, {NAMES[1]: output()})
    Image.fromarray(np.zeros((4, 5), np.uint16)).save(records[2]["disparity_file"])
    with pytest.raises(UserError, match=r"instanceIds.png: found distances of \(4, 5\)"):
        evaluate(dataset, {NAMES[2]: output()})
    name = register(records)  # metadata without label ids
    with pytest.raises(UserError, match=f"{name}: found 1 thing_classes and 0 label_ids"):
        CityscapesEvaluator(name)


def _worker(rank: int, name: str, folder: str) -> None:
    """Rank 0 sees the first two images, rank 1 the last two, as a padded sampler would have it."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=WORLD_SIZE
    )
    comm.create_local_process_group(WORLD_SIZE)
    evaluator = CityscapesEvaluator(name, output_dir=folder)
    for image_id in NAMES[rank : rank + 2]:
        evaluator.process([{"image_id": image_id}], [PERFECT[image_id]])
    Path(folder, f"rank{rank}.json").write_text(json.dumps(evaluator.evaluate()))
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_processes(dataset, tmp_path):
    worker = partial(_worker, name=dataset, folder=str(tmp_path))
    torch.multiprocessing.start_processes(worker, nprocs=WORLD_SIZE, start_method="fork")
    main, other = (json.loads((tmp_path / f"rank{r}.json").read_text()) for r in range(WORLD_SIZE))
    assert main["cityscapes"]["AP"] == main["cityscapes"]["AP50m"] == 100.0
    assert other == {}
    assert len(list((tmp_path / f"cityscapes_submission_{dataset}").glob("*.txt"))) == 3
