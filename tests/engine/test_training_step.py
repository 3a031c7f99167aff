"""Accumulation, precision, clipping, and losses that are not finite, for all models."""

from __future__ import annotations

import math

import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.modeling import build_model
from engine.tiny_models import MODELS, tiny_model_cfg

from recseg_d2.cli.train import run_phase
from recseg_d2.data.loader import build_train_loader
from recseg_d2.engine.loss_guard import NonfiniteGuard, NonfiniteLoss, load_batch
from recseg_d2.engine.trainer import Trainer
from recseg_d2.engine.training_step import TrainingStep

ALL = pytest.mark.parametrize("name", sorted(MODELS))


def gradients(cfg, parts, tmp_path):
    """Of one batch in so many parts, with norms that see no batch."""
    torch.manual_seed(0)
    model = build_model(cfg).train()
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    loader = build_train_loader(cfg)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    guard = NonfiniteGuard(tmp_path, skip=False)
    step = TrainingStep(model, loader, optimizer, parts, float16=False, guard=guard)
    for module in model.modules():
        if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
            module.eval()
    losses = step._compute_gradients(next(iter(loader)))
    return losses, {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


@ALL
def test_a_batch_in_parts_has_the_gradients_of_the_whole(name, tiny_dataset, tmp_path):
    cfg = tiny_model_cfg(name, "DATASETS.TRAIN", (tiny_dataset,))
    losses, whole = gradients(cfg, 1, tmp_path)
    again, parts = gradients(cfg, 4, tmp_path)
    assert len({len(d["annotations"]) for d in DatasetCatalog.get(tiny_dataset)[:4]}) > 1
    assert whole.keys() == parts.keys()
    for term, value in losses.items():
        torch.testing.assert_close(again[term], value, rtol=1e-5, atol=1e-6)
    for parameter, gradient in whole.items():
        torch.testing.assert_close(parts[parameter], gradient, rtol=1e-3, atol=1e-6)
    assert any(gradient.abs().max() > 1e-4 for gradient in whole.values())


@ALL
def test_a_diverging_run_is_stopped_by_name_and_its_batch_can_be_replayed(
    name, tiny_dataset, tmp_path
):
    cfg = tiny_model_cfg(name, "DATASETS.TRAIN", (tiny_dataset,), "SOLVER.MAX_ITER", 20)
    cfg.merge_from_list(["OUTPUT_DIR", str(tmp_path), "SOLVER.BASE_LR", 1e30])
    with pytest.raises(NonfiniteLoss) as caught:
        run_phase(cfg, resume=False)
    message = str(caught.value)
    assert "loss_" in message
    assert "synthetic" in message  # names of images
    (stored,) = tmp_path.glob("nonfinite_*.pth")
    assert stored.name in message
    cfg.MODEL.WEIGHTS = str(stored)
    model = Trainer.build_model(cfg)
    model.load_state_dict(torch.load(stored, weights_only=True)["model"])
    values = [v.item() for v in model.train()(load_batch(stored)).values()]
    assert not all(map(math.isfinite, values))


class Bomb:
    """Makes the losses of an iteration NaN."""

    def __init__(self, model, *iterations):
        self.model, self.forward, self.iterations = model, model.forward, iterations
        self.count = -1
        model.forward = self

    def __call__(self, batch):
        losses = self.forward(batch)
        self.count += self.model.training
        bad = self.count in self.iterations
        return {n: v * math.nan if bad else v for n, v in losses.items()}


def test_a_bad_iteration_is_skipped_where_the_config_says_so(tiny_cfg, caplog):
    tiny_cfg.SOLVER.NONFINITE = "skip"
    trainer = Trainer(tiny_cfg)
    Bomb(trainer.model, 1)
    seen = []
    run_step = trainer.run_step

    def step():
        run_step()
        seen.append({k: v.clone() for k, v in trainer.model.state_dict().items()})

    trainer.run_step = step
    trainer.train()
    assert "Iteration 1: loss_" in caplog.text
    assert "The iteration is skipped." in caplog.text
    assert all(torch.equal(value, seen[0][k]) for k, value in seen[1].items())
    assert any(not torch.equal(value, seen[1][k]) for k, value in seen[2].items())
    assert all(torch.isfinite(value).all() for value in seen[-1].values())


# the schedule goes on although no step was taken
@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler.step:UserWarning")
def test_a_model_that_is_broken_is_not_skipped_for_ever(tiny_cfg):
    tiny_cfg.SOLVER.NONFINITE, tiny_cfg.SOLVER.MAX_ITER = "skip", 30
    trainer = Trainer(tiny_cfg)
    Bomb(trainer.model, *range(30))
    with pytest.raises(NonfiniteLoss, match="Iteration 10:"):
        trainer.train()


@ALL
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_every_precision_trains_with_losses_in_float32(name, precision, tiny_dataset, tmp_path):
    cfg = tiny_model_cfg(name, "DATASETS.TRAIN", (tiny_dataset,), "MODEL.PRECISION", precision)
    cfg.OUTPUT_DIR = str(tmp_path)
    trainer = Trainer(cfg)
    kinds = []
    forward = trainer.model.forward

    def noting(batch):
        losses = forward(batch)
        kinds.extend(value.dtype for value in losses.values())
        return losses

    trainer.model.forward = noting
    before = {k: v.clone() for k, v in trainer.model.named_parameters()}
    trainer.train()
    assert set(kinds) == {torch.float32}
    assert any(not torch.equal(v, before[k]) for k, v in trainer.model.named_parameters())
    state = torch.load(tmp_path / "model_final.pth", weights_only=True)["trainer"]["_trainer"]
    assert ("grad_scaler" in state) == (precision == "float16")


@pytest.mark.parametrize("kind", ["value", "norm", "full_model"])
def test_gradients_are_clipped_after_they_are_unscaled(tiny_dataset, tmp_path, kind):
    opts = ["SOLVER.CLIP_GRADIENTS.ENABLED", True, "SOLVER.CLIP_GRADIENTS.CLIP_TYPE", kind]
    opts += ["SOLVER.CLIP_GRADIENTS.CLIP_VALUE", 1e-3, "MODEL.PRECISION", "float16"]
    opts += ["SOLVER.BASE_LR", 1.0, "SOLVER.MOMENTUM", 0.0, "SOLVER.WEIGHT_DECAY", 0.0]
    cfg = tiny_model_cfg("rsis", "DATASETS.TRAIN", (tiny_dataset,), "SOLVER.MAX_ITER", 1, *opts)
    cfg.OUTPUT_DIR = str(tmp_path)
    trainer = Trainer(cfg)
    before = {k: v.clone() for k, v in trainer.model.named_parameters()}
    trainer.train()
    steps = [(v - before[k]).detach() for k, v in trainer.model.named_parameters()]
    if kind == "value":
        largest = max(float(s.abs().max()) for s in steps)
    elif kind == "norm":
        largest = max(float(s.norm()) for s in steps)
    else:
        largest = float(torch.cat([s.flatten() for s in steps]).norm())
    assert largest == pytest.approx(1e-3, rel=1e-2)


@pytest.mark.parametrize("name", ["ris", "rsis"])
def test_steps_computed_anew_give_the_same_weights_and_statistics(name, tiny_dataset, tmp_path):
    def trained(recompute):
        opts = ["DATASETS.TRAIN", (tiny_dataset,), "OUTPUT_DIR", str(tmp_path / str(recompute))]
        opts += ["MODEL.SEQUENTIAL.RECOMPUTE_STEPS", recompute]
        if name == "ris":
            opts += ["MODEL.RIS.SAMPLING.MASKS", "always", "MODEL.RIS.SAMPLING.BOXES", "always"]
        trainer = Trainer(tiny_model_cfg(name, *opts))
        trainer.train()
        return trainer.model.state_dict()

    kept, anew = trained(False), trained(True)
    for key, value in kept.items():
        torch.testing.assert_close(anew[key], value, rtol=1e-5, atol=1e-7)
