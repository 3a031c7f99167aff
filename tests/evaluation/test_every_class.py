from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.data import MetadataCatalog
from detectron2.structures import Boxes, Instances

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.errors import UserError
from recseg_d2.evaluation import LabelMapEvaluator, build_evaluator
from recseg_d2.evaluation.every_class import of_every_class


def two_masks() -> Instances:
    """Of two classes, with the scores of three."""
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, 0], masks[1, 3] = True, True
    return Instances(
        (4, 4),
        pred_masks=masks,
        pred_boxes=Boxes(torch.tensor([[0.0, 0, 4, 1], [0, 3, 4, 4]])),
        scores=torch.tensor([0.45, 0.48]),
        pred_classes=torch.tensor([1, 0]),
        class_scores=torch.tensor([[0.18, 0.45, 0.27], [0.48, 0.24, 0.08]]),
        step=torch.tensor([0, 2]),
    )


def test_each_mask_is_there_once_for_each_class():
    given = two_masks()
    every = of_every_class(given)
    assert every.pred_classes.tolist() == [0, 1, 2, 0, 1, 2]
    assert every.scores.tolist() == pytest.approx([0.18, 0.45, 0.27, 0.48, 0.24, 0.08])
    assert every.step.tolist() == [0, 0, 0, 2, 2, 2]
    assert torch.equal(every.pred_masks, given.pred_masks[[0, 0, 0, 1, 1, 1]])
    assert torch.equal(every.pred_boxes.tensor, given.pred_boxes.tensor[[0, 0, 0, 1, 1, 1]])
    assert len(given) == 2


def test_no_mask_is_none_of_any_class():
    assert len(of_every_class(two_masks()[torch.zeros(0, dtype=torch.long)])) == 0


def test_a_model_that_scores_one_class_is_refused():
    found = two_masks()
    found.remove("class_scores")
    with pytest.raises(UserError, match=r"TEST\.ALL_CLASSES is True"):
        of_every_class(found)


def test_a_mask_of_the_second_class_counts_where_asked_for(register, tmp_path):
    """A cat whose mask is right, but more probably of a person."""
    cat = np.zeros((4, 4), np.uint8)
    cat[0] = 1
    record = {"image_id": 1, "file_name": "1.png", "height": 4, "width": 4}
    name = register([{**record, "annotations": label_map_to_annotations(cat)}])
    MetadataCatalog.remove(name)
    MetadataCatalog.get(name).set(thing_classes=["cat", "person", "dog"], evaluator_type="voc_segm")
    precision = []
    for all_classes in (False, True):
        cfg = get_recseg_cfg()
        cfg.TEST.ALL_CLASSES = all_classes
        evaluator = build_evaluator(cfg, name, tmp_path)
        evaluator.reset()
        evaluator.process([record], [{"instances": two_masks()[torch.tensor([0])]}])
        precision.append(evaluator.evaluate()["voc_segm"]["APr50-cat"])
    assert precision == [0.0, 100.0]


def test_what_is_no_average_precision_of_classes_gets_each_mask_once(register, tmp_path):
    cfg = get_recseg_cfg()
    cfg.TEST.ALL_CLASSES = True
    name = register(evaluator_type="label_map")
    assert isinstance(build_evaluator(cfg, name, tmp_path), LabelMapEvaluator)
