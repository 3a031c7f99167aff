"""The windows are where the models looked for the saved objects."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from meta_arch.test_dense_attention_seg import tiny_cfg as dense_cfg
from meta_arch.test_recurrent_attention_seg import tiny_cfg as ris_cfg
from PIL import Image

from recseg_d2 import rle
from recseg_d2.analysis.evidence import PredictedObjects, predicted_objects
from recseg_d2.data.coco_results import image_of, results_of_instances
from recseg_d2.engine.predictor import Predictor
from recseg_d2.report.windows import windows_of

HEIGHT, WIDTH = 48, 64


@pytest.fixture
def image(tmp_path):
    rng = np.random.default_rng(0)
    path = tmp_path / "image.png"
    Image.fromarray(rng.integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8)).save(path)
    return str(path)


def predictor_of(cfg, tmp_path) -> Predictor:
    """A predictor with the first weights of a seed."""
    torch.manual_seed(0)
    torch.save({"model": build_model(cfg).state_dict()}, tmp_path / "weights.pth")
    cfg.MODEL.WEIGHTS = str(tmp_path / "weights.pth")
    return Predictor(cfg)


def saved(predictor, image) -> PredictedObjects:
    (found,) = predictor([image])
    entries = results_of_instances("image", found, (), ordered=True)
    return predicted_objects(
        image_of({"image_id": "image"}, found.image_size), entries, lambda _: 0
    )


def dense(tmp_path) -> Predictor:
    thresholds = {"SCORE_THRESH": 0.0, "HEAT_THRESH": 0.0, "MAX_OBJECTS": 5}
    options = [(f"MODEL.DENSE_ATTENTION.TEST.{k}", v) for k, v in thresholds.items()]
    return predictor_of(dense_cfg(*(part for pair in options for part in pair)), tmp_path)


def ris(tmp_path) -> Predictor:
    thresholds = {"SCORE_THRESH": 0.0, "MASK_THRESH": 0.0}
    cfg = ris_cfg(**{f"MODEL__SEQUENTIAL__TEST__{k}": v for k, v in thresholds.items()})
    return predictor_of(cfg, tmp_path)


@pytest.fixture(params=[dense, ris])
def predictor(request, tmp_path):
    return request.param(tmp_path)


def test_each_object_has_the_window_that_it_was_found_in(predictor, image):
    found = saved(predictor, image)
    assert len(found.masks) > 1
    windows = windows_of(predictor, image, found)
    assert len(windows) == len(found.masks)
    for window in windows:
        left, top, width, height = window.box
        assert 0 <= window.heat.min() <= window.heat.max() <= 1
        assert min(width, height) > 0
        assert (left < 1, top < 1, left + width > 0, top + height > 0) == (True,) * 4


def test_masks_of_dense_attention_lie_in_their_windows(image, tmp_path):
    predictor = dense(tmp_path)
    found = saved(predictor, image)
    for window, mask in zip(windows_of(predictor, image, found), found.masks, strict=True):
        left, top, width, height = window.box * np.array([WIDTH, HEIGHT, WIDTH, HEIGHT])
        y, x = np.nonzero(rle.decode(mask))
        assert left <= x.min() <= x.max() < left + width
        assert top <= y.min() <= y.max() < top + height


def test_objects_that_were_left_out_leave_the_others_theirs(predictor, image):
    found = saved(predictor, image)
    every = windows_of(predictor, image, found)
    fewer = replace(
        found,
        masks=found.masks[1:],
        **{name: getattr(found, name)[1:] for name in ("classes", "scores", "steps")},
    )
    again = windows_of(predictor, image, fewer)
    assert [w.box for w in again] == [w.box for w in every[1:]]


def test_other_weights_than_those_of_the_predictions_tell_nothing(predictor, image):
    found = saved(predictor, image)
    others = [rle.encode(1 - rle.decode(mask)) for mask in found.masks]
    assert windows_of(predictor, image, replace(found, masks=others)) is None


def test_models_without_attention_tell_nothing(image, tmp_path):
    from meta_arch.test_convlstm_sem_inst_seg import tiny_cfg

    cfg = tiny_cfg(MODEL__SEQUENTIAL__TEST__SCORE_THRESH=0.0)
    predictor = predictor_of(cfg, tmp_path)
    assert windows_of(predictor, image, saved(predictor, image)) is None
