from __future__ import annotations

import numpy as np
import pytest
import torch
from analysis.saved_runs import data, found_objects, predictions, save_run, standard_dict
from detectron2.modeling import build_model
from PIL import Image

from recseg_d2.analysis.activations import (
    AFTER,
    BEFORE,
    EncoderSums,
    RunActivations,
    activation_sums,
    analyse,
)
from recseg_d2.analysis.active_objects import CELLS
from recseg_d2.analysis.encoders import encoder_features
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.config import get_recseg_cfg
from recseg_d2.engine.predictor import Predictor

LEFT, RIGHT, TOP = (10, 0, 20, 10), (10, 30, 20, 40), (0, 10, 8, 30)


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
    """By hand for two images: features, mean activation of each mask, Kendall's tau."""
    (of_run,) = predictions(trained)
    cfg = of_run.run.config()
    cfg.MODEL.WEIGHTS = str(trained / "model_final.pth")
    predictor = Predictor(cfg)
    sums = activation_sums(of_run, predictor, {"after": predictor.model})["after"]
    (row, _), (most, least, *_) = sums.tau.rows(), sums.active.rows()
    taus, orders = [], []
    for record, boxes in zip(of_run.records, ([LEFT, TOP, RIGHT], [RIGHT, TOP, LEFT]), strict=True):
        features = encoder_features(predictor.model, predictor.model_input(record["file_name"]))
        activity = features[row["sorting"]].mean(dim=0)
        big = torch.nn.functional.interpolate(activity[None, None], scale_factor=5)[0, 0].numpy()
        means = [big[t:b, le:r].mean() for t, le, b, r in boxes]
        signs = [np.sign(means[i] - means[j]) for i in range(3) for j in range(i + 1, 3)]
        taus.append(np.mean(signs))
        orders.append((np.argmax(means) / 2, np.argmin(means) / 2))
    assert row["tau"] == pytest.approx(np.mean(taus))
    assert (most["order"], least["order"]) == pytest.approx(np.mean(orders, axis=0))


def test_the_figure_is_of_the_level_that_correlates_most_after_training():
    sums = {weights: EncoderSums() for weights in (BEFORE, AFTER)}
    for weights, rising in ((BEFORE, "deep"), (AFTER, "fine")):
        falling = {"deep": np.array([2.0, 1.0]), "fine": np.array([2.0, 1.0])}
        values = {**falling, rising: np.array([1.0, 2.0])}
        sums[weights].tau.update(values)
        sums[weights].active.update(values, found_objects(LEFT, RIGHT), np.zeros((2, CELLS, CELLS)))
    run = RunActivations({"deep": 8, "fine": 4}, sums, "any")
    assert run.places().title == "level f0"
    assert [(r["level"], r["weights"], r["tau"]) for r in run.tau_rows()] == [
        ("f0", "before", -1), ("f0", "after", 1), ("f1", "before", 1), ("f1", "after", -1)
    ]  # fmt: skip


def test_what_is_named_is_taken_for_before(trained):
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
    assert {"activations.png", "active_objects.png"} <= {path.name for path in written}
