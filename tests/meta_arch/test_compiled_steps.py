"""MODEL.SEQUENTIAL.COMPILE_STEPS: the same predictions, and the same training."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model

from benchmarks.batches import random_batch
from benchmarks.configs import benchmark_config
from recseg_d2.engine.predictor import Predictor
from recseg_d2.errors import UserError
from recseg_d2.layers import compiled

TINY = {
    "rsis_synthetic.yaml": [
        *("MODEL.SMALL_ENCODER.WIDTHS", "(4, 6)", "MODEL.RSIS.HIDDEN_WIDTHS", "(6, 4)"),
    ],
    "ris_synthetic.yaml": [
        *("MODEL.RIS.BOX.WIDTHS", "(4, 4)", "MODEL.RIS.BOX.POOLS", "(2, 2)"),
        *("MODEL.RIS.BOX.HIDDEN_WIDTH", "6", "MODEL.RIS.PATCH.SIZE", "(8, 8)"),
        *("MODEL.RIS.PREPROCESSOR.WIDTHS", "((4, 4), (4, 6))"),
        *("MODEL.RIS.PREPROCESSOR.SKIPS", "(1, 1)"),
    ],
}
SIZE = ["MODEL.SEQUENTIAL.IMAGE_SIZE", "(32, 32)", "MODEL.SEQUENTIAL.STEPS", "4"]


def make(config: str, compile_steps: bool) -> tuple[torch.nn.Module, list]:
    options = [*TINY[config], *SIZE, "MODEL.DEVICE", "cpu"]
    cfg = benchmark_config(config, [*options, "MODEL.SEQUENTIAL.COMPILE_STEPS", compile_steps])
    torch.manual_seed(0)
    return build_model(cfg), random_batch(cfg, 3)


@pytest.fixture(autouse=True)
def forget():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def assert_equal(config: str) -> None:
    plain, batch = make(config, False)
    quick, _ = make(config, True)
    for size in (2, 3):
        with torch.no_grad():
            one, other = (m.eval()(batch[:size]) for m in (plain, quick))
        for a, b in zip(one, other, strict=True):
            torch.testing.assert_close(
                a["instances"].scores, b["instances"].scores, atol=1e-4, rtol=0
            )
            assert torch.equal(a["instances"].pred_masks, b["instances"].pred_masks)


@pytest.mark.slow
@pytest.mark.skipif(
    compiled.missing_compiler(torch.device("cpu")) is not None, reason="no compiler"
)
def test_the_code_that_is_written_gives_the_same():
    assert_equal("rsis_synthetic.yaml")


@pytest.mark.parametrize("config", TINY)
def test_training_is_not_compiled(config, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("training was compiled")

    monkeypatch.setattr(torch, "compile", refuse)
    model, batch = make(config, True)
    assert all(torch.isfinite(x) for x in model.train()(batch).values())
    with torch.no_grad():  # as validation losses are computed
        model(batch)


def test_the_time_of_the_first_batch_is_logged_once(monkeypatch, caplog):
    monkeypatch.setattr(compiled, "BACKEND", "eager")
    model, batch = make("rsis_synthetic.yaml", True)
    with torch.no_grad(), caplog.at_level(logging.INFO, "recseg_d2"):
        model.eval()(batch)
        model(batch)
    assert [r.message.split(";")[0] for r in caplog.records] == ["Steps are compiled"]


@pytest.mark.slow
@pytest.mark.parametrize("config", TINY)
def test_the_predictor_finds_the_same_and_compiles_few_batches(config, monkeypatch, tmp_path):
    compilations = []

    def backend(graph, inputs):
        compilations.append(graph)
        return graph.forward

    monkeypatch.setattr(compiled, "BACKEND", backend)
    weights = tmp_path / "model.pth"
    torch.save({"model": make(config, False)[0].state_dict()}, weights)
    options = [*TINY[config], *SIZE, "MODEL.DEVICE", "cpu"]
    images = list(np.random.default_rng(0).integers(0, 255, (10, 40, 48, 3), dtype=np.uint8))
    found = []
    for compile_steps in (False, True):
        cfg = benchmark_config(config, [*options, "MODEL.SEQUENTIAL.COMPILE_STEPS", compile_steps])
        cfg = cfg.clone()
        cfg.defrost()
        cfg.MODEL.WEIGHTS = str(weights)
        predictor = Predictor(cfg, batch_size=2)
        found.append(list(predictor(images[:5])))
        few = len(compilations)
        found[-1] += predictor(images[5:])
        assert len(compilations) == few
    assert few > 0
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one.scores, other.scores, atol=1e-4, rtol=0)
        assert torch.equal(one.pred_masks, other.pred_masks)


def test_without_a_compiler_it_is_refused(monkeypatch):
    monkeypatch.setenv("CXX", "no_such_compiler")
    with pytest.raises(UserError, match=r"COMPILE_STEPS .* a C\+\+ compiler \(no_such_compiler\)"):
        make("rsis_synthetic.yaml", True)
