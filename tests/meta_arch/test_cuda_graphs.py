"""MODEL.SEQUENTIAL.CUDA_GRAPHS: the same predictions on CUDA, and nothing else elsewhere."""

from __future__ import annotations

import copy

import pytest
import torch
from detectron2.modeling import build_model

from benchmarks.batches import random_batch
from benchmarks.configs import benchmark_config
from recseg_d2.errors import UserError
from recseg_d2.layers.cuda_graph import RecordedRun

CONFIGS = ("rsis_synthetic.yaml", "ris_synthetic.yaml")


def make(config, device, *options):
    size = ["MODEL.SEQUENTIAL.IMAGE_SIZE", "(32, 32)", "MODEL.SEQUENTIAL.STEPS", "3"]
    options = [*size, "MODEL.DEVICE", device, "MODEL.SEQUENTIAL.CUDA_GRAPHS", "True", *options]
    cfg = benchmark_config(config, options)
    torch.manual_seed(0)
    return build_model(cfg), random_batch(cfg, 3)


@pytest.mark.parametrize("config", CONFIGS)
def test_on_a_cpu_nothing_is_recorded(config, monkeypatch):
    def refuse(self, images):
        raise AssertionError("a run was recorded")

    monkeypatch.setattr(RecordedRun, "__call__", refuse)
    model, batch = make(config, "cpu")
    assert all(torch.isfinite(x) for x in model.train()(batch).values())
    with torch.no_grad():
        assert len(model.eval()(batch)) == 3


def test_it_is_not_combined_with_compiled_steps():
    with pytest.raises(UserError, match="CUDA_GRAPHS is True; expected False where COMPILE_STEPS"):
        make(CONFIGS[0], "cpu", "MODEL.SEQUENTIAL.COMPILE_STEPS", "True")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("config", CONFIGS)
def test_on_cuda_predictions_are_the_same(config, precision):
    model, batch = make(config, "cuda", "MODEL.PRECISION", precision)
    plain = copy.deepcopy(model)
    plain._recorded = None
    for size in (2, 3, 2):
        with torch.no_grad():
            one, other = (m.eval()(batch[:size]) for m in (plain, model))
            model.train()(batch)  # moves the norms' statistics, in place
            plain.load_state_dict(model.state_dict())
        for a, b in zip(one, other, strict=True):
            found, expected = b["instances"], a["instances"]
            torch.testing.assert_close(found.scores, expected.scores, atol=1e-3, rtol=0)
            assert (found.pred_masks != expected.pred_masks).float().mean() < 1e-3
    assert len(model._recorded._recordings) == 2
