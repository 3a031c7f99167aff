"""The least score of an object, at the key of each model."""

from __future__ import annotations

import pytest

from recseg_d2.config import get_recseg_cfg, load_config
from recseg_d2.engine.thresholds import score_thresh, set_score_thresh
from recseg_d2.errors import UserError
from recseg_d2.meta_arch import DenseAttentionSeg


@pytest.mark.parametrize(
    "config",
    ["dense_synthetic.yaml", "ris_small.yaml", "rsis_small.yaml", "instancefcn_small.yaml"],
)
def test_what_is_set_is_what_the_model_has(config):
    cfg = load_config(config)
    set_score_thresh(cfg, 1)  # a whole number, as sliders give it
    assert score_thresh(cfg) == 1.0


def test_each_kind_of_model_has_its_own():
    cfg = get_recseg_cfg()
    cfg.MODEL.DENSE_ATTENTION.TEST.SCORE_THRESH = 0.1
    cfg.MODEL.INSTANCE_FCN.TEST.INSTANCE_SCORE_THRESH = 0.2
    cfg.MODEL.SEQUENTIAL.TEST.SCORE_THRESH = 0.3
    cfg.MODEL.PROPOSAL_CLASSIFIER.TEST.SCORE_THRESH = 0.4
    names = ("DenseAttentionSeg", "InstanceFCNProposal", "ConvLSTMSemInstSeg")
    names = (*names, "MaskProposalClassifier")
    for name, expected in zip(names, (0.1, 0.2, 0.3, 0.4), strict=True):
        cfg.MODEL.META_ARCHITECTURE = name
        assert score_thresh(cfg) == expected
        set_score_thresh(cfg, 0.9)
        assert score_thresh(cfg) == 0.9


def test_a_model_without_one_is_refused(monkeypatch):
    monkeypatch.setattr(DenseAttentionSeg, "score_key", "")
    cfg = load_config("dense_synthetic.yaml")
    for act in (score_thresh, lambda cfg: set_score_thresh(cfg, 0.5)):
        with pytest.raises(UserError, match=r"is DenseAttentionSeg, which has no least score"):
            act(cfg)
