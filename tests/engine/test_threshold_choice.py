"""The least score of an object is chosen on training images, after the last iteration."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.modeling import build_model
from detectron2.structures import Instances
from detectron2.utils import comm
from engine.conftest import NAME
from engine.tiny_models import MODELS, tiny_model_cfg
from torch import nn

from recseg_d2 import rle
from recseg_d2.cli.train import run_phase
from recseg_d2.config import get_recseg_cfg, load_config
from recseg_d2.data.annotations import IGNORED, label_map_from_dict
from recseg_d2.engine import threshold_choice
from recseg_d2.engine.run_folder import with_chosen_thresh
from recseg_d2.engine.threshold_choice import CANDIDATES, ChooseScoreThresh, choose, value
from recseg_d2.engine.thresholds import score_thresh, set_score_thresh
from recseg_d2.engine.trainer import Trainer
from recseg_d2.errors import UserError
from recseg_d2.evaluation.ground_truth import compared_labels
from recseg_d2.meta_arch import ConvLSTMSemInstSeg

IMAGES = 4


class Knows(nn.Module):
    """Finds every true object, with a score of 0.65, and a false one in its corner with 0.45."""

    def __init__(self, false_score=0.45):
        super().__init__()
        self.least, self.false_score, self.asked = 0.0, false_score, []
        self.train()

    def set_score_thresh(self, least):
        self.least = least

    def forward(self, batched_inputs):
        assert not self.training
        (given,) = batched_inputs
        self.asked.append(given["image_id"])
        truth = label_map_from_dict(RECORDS[given["image_id"]])
        masks = [truth == k for k in np.unique(truth[truth > 0])]
        scores = [0.65] * len(masks)
        corner = np.zeros_like(truth, dtype=bool)
        corner[:3, :3] = True
        found = Instances(truth.shape)
        found.pred_masks = torch.from_numpy(np.stack([*masks, corner]))
        found.scores = torch.tensor([*scores, self.false_score])
        return [{"instances": found[found.scores >= self.least]}]


RECORDS: dict[object, dict[str, object]] = {}


@pytest.fixture(autouse=True)
def records():
    RECORDS.update({record["image_id"]: record for record in DatasetCatalog.get(NAME)})


def hook_of(model, *opts):
    cfg = get_recseg_cfg()
    cfg.merge_from_list(["DATASETS.TRAIN", (NAME,), "TEST.THRESHOLD_IMAGES", IMAGES, *opts])
    cfg.MODEL.META_ARCHITECTURE = "ConvLSTMSemInstSeg"
    kept = []
    hook = ChooseScoreThresh(cfg, model, kept.append)
    hook.trainer = SimpleNamespace(iter=6, max_iter=6)
    return hook, kept


def test_the_value_with_the_best_mean_is_chosen():
    # 0.5 gains 2, 4 and 3 over 0.4: 3 on average, with an error of 1 / sqrt(3)
    values = np.array([[70, 72, 60], [80, 84, 81], [60, 63, 65]], float)
    assert choose([0.4, 0.5, 0.6], values, 0.4) == 0.5


def test_the_own_value_stays_where_another_is_hardly_better():
    # a gain of 1 on average, with an error of 2: (5 and -1 and -1; deviation sqrt(12))
    values = np.array([[70, 75], [80, 79], [60, 59]], float)
    assert choose([0.4, 0.5], values, 0.4) == 0.4
    assert choose([0.4, 0.5], values, 0.5) == 0.5


def test_a_single_image_decides_and_equal_values_change_nothing():
    assert choose([0.4, 0.5], np.array([[70.0, 71.0]]), 0.4) == 0.5
    assert choose([0.3, 0.4, 0.5], np.full((3, 3), 7.0), 0.5) == 0.5


def test_false_objects_are_left_out_by_the_score_that_parts_them(caplog):
    caplog.set_level(logging.INFO)
    model = Knows()
    hook, kept = hook_of(model, "MODEL.SEQUENTIAL.TEST.SCORE_THRESH", 0.35)
    model.train()
    hook.after_train()
    assert kept == [0.5]  # from 0.5 to 0.6 all is right; the first of them
    assert model.least == 0.5
    assert model.training
    assert len(set(model.asked)) == IMAGES
    assert len(model.asked) == IMAGES * (len(CANDIDATES) + 1)
    assert f"Least score of an object: 0.5, by SBD - |DiC| on {IMAGES} training" in caplog.text
    assert "0.5: 100.0" in caplog.text


def test_a_good_value_of_the_config_is_not_reported():
    model = Knows()
    hook, kept = hook_of(model, "MODEL.SEQUENTIAL.TEST.SCORE_THRESH", 0.6)
    hook.after_train()
    assert (kept, model.least) == ([], 0.6)


def test_values_are_sbd_less_the_difference_in_count():
    hook, _ = hook_of(Knows())
    for values in hook._values([0.3, 0.6]):
        with_false, exact = values
        assert exact == pytest.approx(100)
        # n right ones and a false one: the found ones' mean best dice is n / (n + 1), less one
        share = (with_false + 1) / 100
        assert share / (1 - share) == pytest.approx(round(share / (1 - share)))


def test_unknown_regions_do_not_count():
    record = {**RECORDS[next(iter(RECORDS))]}
    truth = label_map_from_dict(record)
    ignored = np.zeros(truth.shape, bool)
    ignored[:3, :3] = True
    found = np.where(ignored, 99, truth)
    assert value(*compared_labels(record, found)) < 100
    known = {**record, IGNORED: rle.encode(ignored)}
    assert value(*compared_labels(known, found)) == pytest.approx(100)


def test_where_nothing_is_and_nothing_is_found_all_is_right():
    empty, one = np.zeros((4, 4), int), np.eye(4, dtype=int)
    assert (value(empty, empty), value(one, one)) == (100, 100)
    assert value(one, empty) == value(empty, one) == -1


def test_processes_share_the_images_and_agree(monkeypatch):
    alone, _ = hook_of(Knows())
    expected = alone._values([0.3, 0.6])
    monkeypatch.setattr(comm, "get_world_size", lambda: 2)
    parts = []
    for rank in (0, 1):
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        monkeypatch.setattr(comm, "all_gather", lambda own: parts.append(own) or [{0: 0}, own])
        with pytest.raises(KeyError):
            hook_of(Knows())[0]._values([0.3, 0.6])
    assert [sorted(part) for part in parts] == [[0, 2], [1, 3]]
    monkeypatch.setattr(comm, "all_gather", lambda own: parts)
    np.testing.assert_array_equal(hook_of(Knows())[0]._values([0.3, 0.6]), expected)


def test_images_are_drawn_by_the_seed_and_are_no_more_than_fit(monkeypatch):
    def drawn(*opts):
        return [r["image_id"] for r in hook_of(Knows(), *opts)[0]._records()]

    assert drawn() == drawn()
    assert len({tuple(drawn("SEED", seed)) for seed in range(5)}) > 1
    assert len(drawn("TEST.THRESHOLD_IMAGES", 100)) == len(RECORDS)
    pixels = RECORDS[drawn()[0]]["height"] * RECORDS[drawn()[0]]["width"]
    monkeypatch.setattr(threshold_choice, "_MOST_PIXELS", 2 * pixels)
    assert drawn("TEST.THRESHOLD_IMAGES", 100) == drawn()[:2]
    monkeypatch.setattr(threshold_choice, "_MOST_PIXELS", 1)
    assert len(drawn()) == 1


def test_nothing_is_chosen_where_training_broke_off():
    model = Knows()
    hook, kept = hook_of(model)
    hook.trainer.iter = 3
    hook.after_train()
    assert (kept, model.asked) == ([], [])


def test_a_model_without_such_a_score_is_refused(tiny_cfg, monkeypatch):
    tiny_cfg.TEST.THRESHOLD_IMAGES = 2
    monkeypatch.setattr(ConvLSTMSemInstSeg, "score_key", "")
    Path(tiny_cfg.OUTPUT_DIR).mkdir()
    with pytest.raises(UserError, match=r"ConvLSTMSemInstSeg, which has no least score.*IMAGES 0"):
        Trainer(tiny_cfg)


DENSE = [
    *("MODEL.META_ARCHITECTURE", "DenseAttentionSeg", "INPUT.RESIZE", "scale"),
    *("MODEL.BACKBONE.NAME", "build_residual_encoder_backbone"),
    *("MODEL.RESIDUAL_ENCODER.WIDTHS", (4, 4, 4)),
]


CLASSIFIER = [
    *("MODEL.META_ARCHITECTURE", "MaskProposalClassifier", "MODEL.MASK_ON", False),
    *("MODEL.BACKBONE.NAME", "build_small_encoder_backbone", "MODEL.SMALL_ENCODER.WIDTHS", (4, 6)),
]
OTHERS = {"dense": DENSE, "classifier": CLASSIFIER}


@pytest.mark.parametrize("name", [*MODELS, *OTHERS])
def test_what_a_model_is_told_is_what_its_config_would_have_said(name):
    cfg = get_recseg_cfg() if name in OTHERS else tiny_model_cfg(name)
    cfg.merge_from_list([*OTHERS.get(name, ()), "MODEL.DEVICE", "cpu"])
    model = build_model(cfg)
    model.set_score_thresh(0.875)
    set_score_thresh(cfg, 0.875)
    other = build_model(cfg)
    for options in ("options", "test_options"):
        assert getattr(model, options, None) == getattr(other, options, None)


@pytest.fixture
def chosen(monkeypatch):
    monkeypatch.setattr(threshold_choice, "choose", lambda candidates, values, own: 0.7)


def test_a_run_is_evaluated_and_stored_with_what_it_chose(tiny_cfg, chosen, monkeypatch):
    tiny_cfg.merge_from_list(["TEST.THRESHOLD_IMAGES", 2, "DATASETS.TEST", (NAME,)])
    seen = []
    plain = Trainer.test.__func__

    def test(cls, cfg, model, evaluators=None):
        seen.append((score_thresh(cfg), model.test_options.score_thresh))
        return plain(cls, cfg, model, evaluators)

    monkeypatch.setattr(Trainer, "test", classmethod(test))
    before = tiny_cfg.clone()
    first = run_phase(tiny_cfg, resume=False)
    stored = load_config(Path(before.OUTPUT_DIR) / "config.yaml")
    assert score_thresh(before) == 0.5
    assert score_thresh(stored) == 0.7
    again = run_phase(before, resume=True)  # it is finished: only evaluated
    assert seen == [(0.7, 0.7)] * 2
    assert first == again
    assert score_thresh(load_config(Path(before.OUTPUT_DIR) / "config.yaml")) == 0.7


def test_a_run_that_chooses_nothing_has_its_own_value(tiny_cfg, tmp_path):
    (tmp_path / "run").mkdir()
    stored = tiny_cfg.clone()
    set_score_thresh(stored, 0.7)
    (tmp_path / "run" / "config.yaml").write_text(stored.dump())
    assert score_thresh(with_chosen_thresh(tiny_cfg)) == 0.5
    tiny_cfg.TEST.THRESHOLD_IMAGES = 2
    assert score_thresh(with_chosen_thresh(tiny_cfg)) == 0.7
    assert score_thresh(tiny_cfg) == 0.5
