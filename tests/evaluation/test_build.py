from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.evaluation import COCOEvaluator
from detectron2.structures import Boxes, Instances

from recseg_d2.config import get_recseg_cfg
from recseg_d2.errors import UserError
from recseg_d2.evaluation import LabelMapEvaluator, SegmentProposalEvaluator, build_evaluator


@pytest.fixture
def cfg(tmp_path):
    cfg = get_recseg_cfg()
    cfg.OUTPUT_DIR = str(tmp_path)
    return cfg


def exact_output(labels: np.ndarray) -> dict[str, Instances]:
    values = np.unique(labels[labels > 0])
    instances = Instances(labels.shape)
    instances.pred_masks = torch.from_numpy(labels[None] == values[:, None, None])
    corners = [np.argwhere(labels == v) for v in values]
    boxes = [[*c.min(0)[::-1], *(c.max(0)[::-1] + 1)] for c in corners]
    instances.pred_boxes = Boxes(torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4))
    instances.scores = torch.full((len(values),), 0.9)
    instances.pred_classes = torch.zeros(len(values), dtype=torch.int64)
    return {"instances": instances}


def test_label_map_writes_below_the_output_folder(cfg, register, truth, tmp_path):
    name = register(evaluator_type="label_map")
    evaluator = build_evaluator(cfg, name)
    assert isinstance(evaluator, LabelMapEvaluator)
    evaluator.process([{"image_id": 100}], [exact_output(truth["a"])])
    evaluator.evaluate()
    assert (tmp_path / "inference" / f"label_map_{name}.json").is_file()


def test_output_folder_can_be_given(cfg, register, truth, tmp_path):
    name = register(evaluator_type="label_map")
    evaluator = build_evaluator(cfg, name, tmp_path / "elsewhere")
    evaluator.process([{"image_id": 100}], [exact_output(truth["a"])])
    evaluator.evaluate()
    assert [p.name for p in Path(tmp_path).rglob("*.json")] == [f"label_map_{name}.json"]


def test_a_data_set_names_its_metrics(cfg, register, truth):
    evaluator = build_evaluator(
        cfg, register(evaluator_type="label_map", metrics=("mwcov", "avgfn"))
    )
    evaluator.process([{"image_id": 100}], [exact_output(truth["a"])])
    assert evaluator.evaluate() == {"label_map": {"MWCov": pytest.approx(100.0), "AvgFN": 0.0}}


def test_metrics_that_do_not_exist_are_refused(cfg, register):
    with pytest.raises(UserError, match=r"metrics: found miou, expected one or more of .*mwcov"):
        build_evaluator(cfg, register(evaluator_type="label_map", metrics=("mwcov", "miou")))


def test_coco_scores_masks_and_boxes(cfg, register, truth):
    evaluator = build_evaluator(cfg, register(evaluator_type="coco"))
    assert isinstance(evaluator, COCOEvaluator)
    evaluator.reset()
    for image_id, stem in ((100, "a"), (101, "b"), (102, "c")):
        inputs = [{"image_id": image_id, "file_name": f"images/{stem}.png"}]
        evaluator.process(inputs, [exact_output(truth[stem])])
    results = evaluator.evaluate()
    assert results["segm"]["AP"] == pytest.approx(100.0)
    assert results["bbox"]["AP"] == pytest.approx(100.0)


@pytest.mark.parametrize("metadata", [{"evaluator_type": "sem_seg"}, {}])
def test_wrong_type_is_refused_by_name(cfg, register, metadata):
    name = register(**metadata)
    with pytest.raises(
        UserError, match=f"{name}.*{metadata.get('evaluator_type')}.*label_map, coco"
    ):
        build_evaluator(cfg, name)


def test_the_config_can_choose_another(cfg, register):
    cfg.TEST.EVALUATOR = "segment_proposal"
    for metadata in ({"evaluator_type": "label_map"}, {}):
        assert isinstance(build_evaluator(cfg, register(**metadata)), SegmentProposalEvaluator)
    cfg.TEST.EVALUATOR = "sem_seg"
    with pytest.raises(UserError, match=r"TEST\.EVALUATOR is 'sem_seg'; expected one of label_map"):
        build_evaluator(cfg, register(evaluator_type="label_map"))
