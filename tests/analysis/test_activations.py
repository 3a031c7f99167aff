from __future__ import annotations

import numpy as np
import pytest
import torch
from analysis.saved_runs import data, predictions, save_run, standard_dict
from detectron2.modeling import build_model
from PIL import Image

from recseg_d2.analysis.activations import (
    activation_sums,
    analyse,
    encoder_features,
    initial_model,
    level_strides,
    object_activation,
)
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.config import get_recseg_cfg
from recseg_d2.engine.predictor import Predictor

LEFT, RIGHT, TOP = (10, 0, 20, 10), (10, 30, 20, 40), (0, 10, 8, 30)


@pytest.fixture
def cfg(tmp_path):
    """Of a tiny model."""
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "ConvLSTMSemInstSeg"
    cfg.MODEL.BACKBONE.NAME = "build_small_encoder_backbone"
    cfg.MODEL.SMALL_ENCODER.WIDTHS = (4, 6)
    cfg.MODEL.RSIS.HIDDEN_WIDTHS = (6, 4)
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (16, 32)
    cfg.MODEL.SEQUENTIAL.STEPS = 3
    cfg.MODEL.DEVICE = "cpu"
    return cfg


@pytest.fixture
def trained(cfg, register, tmp_path):
    """A run's folder with a config, weights of another seed, and predictions on two images."""
    folder, rng = tmp_path / "run", np.random.default_rng(0)
    records = []
    for image_id in ("one", "two"):
        path = tmp_path / f"{image_id}.png"
        Image.fromarray(rng.integers(0, 255, (20, 40, 3), dtype=np.uint8)).save(path)
        records.append({**standard_dict(image_id, [(LEFT, 0)]), "file_name": str(path)})
    order = [(LEFT, 0, 0.9), (TOP, 0, 0.8), (RIGHT, 1, 0.7)]
    save_run(folder, register(records), {"one": order, "two": order[::-1]})
    (folder / "config.yaml").write_text(cfg.dump())
    torch.manual_seed(99)
    torch.save({"model": build_model(cfg).state_dict()}, folder / "model_final.pth")
    return folder


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


def test_rows_of_both_weights(trained):
    result = analyse(data(trained))
    rows = result.tables["activations"]
    assert [(r["level"], r["stride"], r["weights"]) for r in rows] == [
        (level, stride, weights)
        for level, stride in (("f0", 4), ("f1", 2))
        for weights in ("before", "after")
    ]
    assert all(row["images"] == 2 and row["pairs"] == 6 and abs(row["tau"]) <= 1 for row in rows)
    assert result.notes == ["run: weights before training are random ones of the seed 0."]


def test_values_are_those_of_the_encoder(trained):
    """By hand for one image: features, mean activation of each mask, Kendall's tau."""
    (of_run,) = predictions(trained)
    cfg = of_run.run.config()
    cfg.MODEL.WEIGHTS = str(trained / "model_final.pth")
    predictor = Predictor(cfg)
    (row, _) = activation_sums(of_run, predictor, {"after": predictor.model})["after"].rows()
    taus = []
    for record, boxes in zip(of_run.records, ([LEFT, TOP, RIGHT], [RIGHT, TOP, LEFT]), strict=True):
        features = encoder_features(predictor.model, predictor.model_input(record["file_name"]))
        activity = features[row["sorting"]].mean(dim=0)
        big = torch.nn.functional.interpolate(activity[None, None], scale_factor=5)[0, 0].numpy()
        means = [big[t:b, le:r].mean() for t, le, b, r in boxes]
        signs = [np.sign(means[i] - means[j]) for i in range(3) for j in range(i + 1, 3)]
        taus.append(np.mean(signs))
    assert row["tau"] == pytest.approx(np.mean(taus))


def test_before_is_the_runs_beginning_or_what_is_named(cfg, trained, tmp_path):
    seeded = initial_model(cfg).state_dict()
    torch.manual_seed(cfg.SEED)
    expected = build_model(cfg).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in seeded.items())
    # the same weights before as after correlate alike
    result = analyse(data(trained, before=str(trained / "model_final.pth")))
    by_weights = {
        w: [row["tau"] for row in result.tables["activations"] if row["weights"] == w]
        for w in ("before", "after")
    }
    assert by_weights["before"] == by_weights["after"]
    assert "model_final.pth" in result.notes[0]


def test_a_model_without_a_fixed_encoder_is_left_out(trained):
    cfg = get_recseg_cfg()
    cfg.merge_from_file(str(trained / "config.yaml"))
    cfg.MODEL.META_ARCHITECTURE = "RecurrentAttentionSeg"
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (64, 64)
    (trained / "config.yaml").write_text(cfg.dump())
    torch.save({"model": build_model(cfg).state_dict()}, trained / "model_final.pth")
    with pytest.raises(MissingResultsError, match="RecurrentAttentionSeg has no encoder"):
        analyse(data(trained))


def test_weights_and_config_have_to_be_there(trained):
    (trained / "model_final.pth").unlink()
    with pytest.raises(MissingResultsError, match=r"no model_final.pth"):
        analyse(data(trained))
    (trained / "config.yaml").unlink()
    with pytest.raises(MissingResultsError, match=r"no config.yaml"):
        analyse(data(trained))


def test_plots_are_written(trained, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    written = analyse(data(trained)).write(tmp_path / "out")
    assert "activations.png" in {path.name for path in written}
