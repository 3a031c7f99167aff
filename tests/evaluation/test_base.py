from __future__ import annotations

import json
import logging

import numpy as np
import pytest
import torch
from detectron2.structures import Instances

from recseg_d2.errors import UserError
from recseg_d2.evaluation.base import ImageEvaluator, gather_parts, masks_of_size

RECORD = {"file_name": "a.png", "height": 2, "width": 3}


class CountsObjects(ImageEvaluator):
    """Mean number of predictions of the images that are not named "b"."""

    kind = "counts"

    def compare(self, record, output):
        return None if record["file_name"].endswith("b.png") else len(output["instances"])

    def summarize(self, images):
        if not images:
            return {}
        self.save({str(image_id): count for image_id, count in images.items()})
        return {"mean": sum(images.values()) / len(images)}


def some(count: int) -> dict[str, Instances]:
    return {"instances": Instances((1, 1), scores=torch.zeros(count))}


def test_an_evaluator_is_two_functions(register, tmp_path, caplog):
    name = register()
    evaluator = CountsObjects(name, tmp_path / "new")
    evaluator.process([{"image_id": k} for k in (102, 101)], [some(3), some(9)])
    evaluator.process([{"image_id": 100}] * 2, [some(5), some(1)])  # as of a padded sampler
    with caplog.at_level(logging.WARNING, logger="recseg_d2"):
        assert evaluator.evaluate() == {"counts": {"mean": 2.0}}
    assert "found predictions for 2 of 3 images" in caplog.text
    saved = json.loads((tmp_path / "new" / f"counts_{name}.json").read_text())
    assert list(saved.items()) == [("100", 1), ("102", 3)]  # in the data set's order
    evaluator.reset()
    assert evaluator.evaluate() == {}


def test_completeness_is_not_told_of(register, caplog):
    evaluator = CountsObjects(register([{"file_name": "a.png", "image_id": 0}]))
    evaluator.process([{"image_id": 0}], [some(1)])
    assert evaluator.evaluate() == {"counts": {"mean": 1.0}}  # and no file: no folder
    assert "found predictions" not in caplog.text


def test_images_of_other_data_are_refused(register):
    with pytest.raises(UserError, match="image_id 7"):
        CountsObjects(register()).process([{"image_id": 7}], [some(1)])


@pytest.mark.parametrize("distributed", [True, False])
def test_a_process_alone_gathers_its_own(distributed):
    assert gather_parts({"a": 1}, distributed) == [{"a": 1}]


def test_masks_have_the_size_of_their_image():
    found = Instances((2, 3), pred_masks=torch.ones(2, 2, 3, dtype=torch.uint8))
    masks = list(masks_of_size(found, RECORD))
    assert [mask.dtype for mask in masks] == [bool] * 2
    assert np.stack(masks).all()
    nothing = Instances((5, 7), pred_masks=torch.zeros(0, 5, 7))
    assert list(masks_of_size(nothing, RECORD)) == []
    found = Instances((3, 2), pred_masks=torch.ones(1, 3, 2))
    with pytest.raises(UserError, match=r"a.png: found predicted masks of 2x3 .* image's 3x2"):
        list(masks_of_size(found, RECORD))
