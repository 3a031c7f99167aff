"""The evaluation loop, and COCO's average precision."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.evaluation import (
    COCOEvaluator,
    DatasetEvaluator,
    DatasetEvaluators,
    inference_context,
    inference_on_dataset,
    print_csv_format,
    verify_results,
)
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from detectron2.evaluation.testing import flatten_results_dict
from detectron2.structures import Boxes, BoxMode, Instances

NAME = "evaluation_test"
SIZE = 20


class _Sum(DatasetEvaluator):
    def __init__(self, key):
        self.key = key

    def reset(self):
        self.seen = []

    def process(self, inputs, outputs):
        self.seen += outputs

    def evaluate(self):
        return {self.key: {"sum": sum(self.seen)}}


def test_loop_runs_in_eval_mode_without_gradients():
    model = torch.nn.Linear(1, 1)
    modes = []

    class Model(torch.nn.Module):
        def forward(self, inputs):
            modes.append((self.training, torch.is_grad_enabled()))
            return [i * 2 for i in inputs]

    model = Model()
    results = inference_on_dataset(model, [[1], [2], [3]], [_Sum("a"), _Sum("b")])
    assert results == {"a": {"sum": 12}, "b": {"sum": 12}}
    assert modes == [(False, False)] * 3
    assert model.training


def test_loop_without_evaluator():
    assert inference_on_dataset(lambda batch: batch, [[1]] * 12, None) == {}


def test_context_restores_the_mode():
    model = torch.nn.Linear(1, 1).eval()
    with inference_context(model):
        assert not model.training
    assert not model.training


def test_same_key_twice_is_refused():
    evaluators = DatasetEvaluators([_Sum("a"), _Sum("a")])
    evaluators.reset()
    with pytest.raises(AssertionError, match="a"):
        evaluators.evaluate()


def test_flatten():
    assert flatten_results_dict({"a": {"b": {"c": 1}, "d": 2}, "e": 3}) == {
        "a/b/c": 1,
        "a/d": 2,
        "e": 3,
    }


def test_csv_leaves_out_single_classes(caplog):
    with caplog.at_level("INFO"):
        print_csv_format({"segm": {"AP": 12.34567, "AP-leaf": 1.0}, "time": 3})
    lines = [record.getMessage() for record in caplog.records]
    assert lines == [
        "copypaste: Task: segm",
        "copypaste: AP",
        "copypaste: 12.3457",
        "copypaste: time=3",
    ]


def test_results_are_verified():
    def expect(*lines):
        return SimpleNamespace(TEST=SimpleNamespace(EXPECTED_RESULTS=list(lines)))

    results = {"segm": {"AP": 40.0, "AP50": float("nan")}}
    assert verify_results(expect(), results)
    assert verify_results(expect(["segm", "AP", 40.5, 1.0]), results)
    for wrong in (["segm", "AP", 50, 1.0], ["segm", "AP75", 1, 1], ["segm", "AP50", 1, 1]):
        with pytest.raises(SystemExit):
            verify_results(expect(["segm", "AP", 40.5, 1.0], wrong), results)


def make_mask(x: int, y: int, side: int = 8) -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), np.uint8)
    mask[y : y + side, x : x + side] = 1
    return mask


def make_annotation(x: int, y: int, category: int) -> dict:
    rle = mask_util.encode(np.asfortranarray(make_mask(x, y)))
    box = {"bbox": [x, y, 8, 8], "bbox_mode": BoxMode.XYWH_ABS}
    return {**box, "category_id": category, "segmentation": rle, "iscrowd": 0}


def make_instances(*found: tuple[int, int, int, float]) -> Instances:
    """Squares at (x, y), of a class, with a score."""
    instances = Instances((SIZE, SIZE))
    boxes = [[x, y, x + 8, y + 8] for x, y, _, _ in found]
    instances.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    masks = [make_mask(x, y).astype(bool) for x, y, _, _ in found]
    instances.pred_masks = torch.from_numpy(np.array(masks).reshape(-1, SIZE, SIZE))
    instances.pred_classes = torch.tensor([f[2] for f in found], dtype=torch.int64)
    instances.scores = torch.tensor([f[3] for f in found])
    return instances


@pytest.fixture
def dataset():
    """Two images: the first with an object of each class, the second empty."""
    records = [
        {"file_name": f"{i}.png", "image_id": i, "height": SIZE, "width": SIZE, "annotations": a}
        for i, a in enumerate([[make_annotation(0, 0, 0), make_annotation(10, 10, 1)], []])
    ]
    DatasetCatalog.register(NAME, lambda: records)
    MetadataCatalog.get(NAME).thing_classes = ["leaf", "stem"]
    yield records
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def evaluate(dataset, outputs, tmp_path, **options):
    evaluator = COCOEvaluator(NAME, output_dir=str(tmp_path), **options)
    evaluator.reset()
    for record, output in zip(dataset, outputs, strict=True):
        evaluator.process([record], [{"instances": output}])
    return evaluator.evaluate()


def test_perfect_predictions(dataset, tmp_path):
    found = make_instances((0, 0, 0, 0.9), (10, 10, 1, 0.8))
    results = evaluate(dataset, [found, make_instances()], tmp_path)
    for task in ("bbox", "segm"):
        assert results[task]["AP"] == pytest.approx(100)
        assert results[task]["APs"] == pytest.approx(100)
        assert np.isnan(results[task]["APl"])
        assert results[task]["AP-stem"] == pytest.approx(100)
    assert list(results["bbox"])[:6] == ["AP", "AP50", "AP75", "APs", "APm", "APl"]
    written = json.loads((tmp_path / "coco_instances_results.json").read_text())
    assert [w["image_id"] for w in written] == [0, 0]
    predictions = torch.load(tmp_path / "instances_predictions.pth", weights_only=False)
    assert [p["image_id"] for p in predictions] == [0, 1]


def test_half_found(dataset, tmp_path):
    """Shifted by one pixel a square has IoU 7/9 = 0.78: right at 6 of the 10 thresholds."""
    results = evaluate(dataset, [make_instances((1, 0, 0, 0.9)), make_instances()], tmp_path)
    assert results["segm"]["AP-leaf"] == pytest.approx(60)
    assert results["segm"]["AP-stem"] == 0
    assert results["segm"]["AP"] == pytest.approx(30)
    assert results["segm"]["AP75"] == pytest.approx(50)


def test_nothing_predicted(dataset, tmp_path):
    results = evaluate(dataset, [make_instances(), make_instances()], tmp_path, tasks=("segm",))
    assert list(results) == ["segm"]
    assert np.isnan(results["segm"]["AP"])


def test_no_output_at_all(dataset, tmp_path):
    evaluator = COCOEvaluator(NAME, output_dir=str(tmp_path))
    evaluator.reset()
    assert evaluator.evaluate() == {}


def test_images_can_be_chosen(dataset, tmp_path):
    evaluator = COCOEvaluator(NAME, output_dir=str(tmp_path))
    evaluator.reset()
    evaluator.process(dataset[:1], [{"instances": make_instances((0, 0, 0, 0.9))}])
    assert np.isnan(evaluator.evaluate(img_ids=[1])["segm"]["AP"])


def test_unknown_class_is_refused(dataset, tmp_path):
    MetadataCatalog.get(NAME).thing_dataset_id_to_contiguous_id = {3: 0, 7: 1}
    evaluate(dataset, [make_instances((0, 0, 1, 0.9)), make_instances()], tmp_path)
    written = json.loads((tmp_path / "coco_instances_results.json").read_text())
    assert written[0]["category_id"] == 7
    with pytest.raises(AssertionError, match="class=2"):
        evaluate(dataset, [make_instances((0, 0, 2, 0.9)), make_instances()], tmp_path)


def test_output_dir_is_needed_to_convert(dataset):
    with pytest.raises(ValueError, match="output_dir"):
        COCOEvaluator(NAME)


def test_cached_file(dataset, tmp_path):
    COCOEvaluator(NAME, output_dir=str(tmp_path))
    path = MetadataCatalog.get(NAME).json_file
    assert path == str(tmp_path / f"{NAME}_coco_format.json")
    assert len(json.loads(Path(path).read_text())["images"]) == 2


def test_predictions_as_json():
    (one,) = instances_to_coco_json(make_instances((2, 3, 1, 0.5)), 4)
    assert (one["image_id"], one["category_id"], one["bbox"], one["score"]) == (
        4,
        1,
        [2, 3, 8, 8],
        0.5,
    )
    assert np.array_equal(mask_util.decode(one["segmentation"]), make_mask(2, 3))
    assert instances_to_coco_json(make_instances(), 4) == []
