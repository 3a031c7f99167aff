from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

from recseg_d2.analysis.encoders import (
    encoder_features,
    initial_model,
    level_strides,
    object_activation,
)
from recseg_d2.errors import UserError


def literal_activation(features: np.ndarray, mask: np.ndarray) -> float:
    """Each cell of the level counts by how much of the mask lies over it."""
    _, h, w = features.shape
    rows, columns = mask.shape[0] // h, mask.shape[1] // w
    total = weight = 0.0
    for i in range(h):
        for j in range(w):
            share = mask[i * rows : (i + 1) * rows, j * columns : (j + 1) * columns].mean()
            total += share * features[:, i, j].mean()
            weight += share
    return total / weight


def test_activations_of_objects_against_a_loop():
    rng = np.random.default_rng(0)
    features, masks = rng.normal(size=(5, 4, 6)), rng.uniform(size=(3, 8, 12)) > 0.7
    activity = torch.from_numpy(features.mean(axis=0))
    for mask in masks:
        ours = object_activation(activity, torch.from_numpy(mask))
        assert ours == pytest.approx(literal_activation(features, mask))


def test_an_object_smaller_than_a_cell_has_the_cells_activation():
    activity = torch.arange(4.0, dtype=torch.float64).reshape(2, 2)
    masks = torch.zeros(2, 10, 10)
    masks[0, 0, 0] = masks[1, 9, 2] = 1
    assert [object_activation(activity, mask) for mask in masks] == [0.0, 2.0]


def test_levels_are_the_encoders_from_the_deepest(cfg):
    model = build_model(cfg).eval()
    strides = level_strides(model)
    assert list(strides.values()) == [4, 2]
    features = encoder_features(model, {"image": torch.zeros(3, 20, 40)})
    assert [tuple(f.shape) for f in features.values()] == [(6, 4, 8), (4, 8, 16)]


def test_the_model_as_training_began_has_the_first_weights_of_its_seed(cfg):
    seeded = initial_model(cfg).state_dict()
    torch.manual_seed(cfg.SEED)
    expected = build_model(cfg).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in seeded.items())


def test_weights_of_another_encoder_are_not_those_of_before_training(cfg, tmp_path):
    other = cfg.clone()
    other.MODEL.SMALL_ENCODER.WIDTHS = (8, 6)
    cfg.MODEL.WEIGHTS = str(tmp_path / "other.pth")
    torch.save({"model": build_model(other).state_dict()}, cfg.MODEL.WEIGHTS)
    with pytest.raises(UserError, match=r"MODEL\.WEIGHTS: of .*other\.pth"):
        initial_model(cfg)
