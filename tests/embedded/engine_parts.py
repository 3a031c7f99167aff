"""A model and its trainer, as small as can be, for the tests of the training loop."""

from __future__ import annotations

import json

import torch
from detectron2.engine import (
    SimpleTrainer,
)
from detectron2.modeling import META_ARCH_REGISTRY
from torch import nn

ARCHITECTURE = "EngineTestModel"

ARCHITECTURE = "EngineTestModel"


class EngineTestModel(nn.Module):
    """In training a loss, else the mean of each image."""

    def __init__(self, cfg=None):
        super().__init__()
        self.layer = nn.Linear(2, 1)
        self.norm = nn.BatchNorm1d(2)

    def forward(self, batch):
        if not self.training:
            return [{"mean": x["image"].mean(), "shape": tuple(x["image"].shape)} for x in batch]
        loss = self.layer(self.norm(batch)).square().mean()
        return {"loss_a": loss, "loss_b": loss * 0.5}


def register() -> None:
    if ARCHITECTURE not in META_ARCH_REGISTRY:
        META_ARCH_REGISTRY.register(EngineTestModel)


def make_batches(seed: int = 0):
    generator = torch.Generator().manual_seed(seed)
    while True:
        yield torch.randn(4, 2, generator=generator)


def make_trainer(model: nn.Module | None = None, **options) -> SimpleTrainer:
    torch.manual_seed(0)
    model = model or EngineTestModel()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    return SimpleTrainer(model, make_batches(), optimizer, **options)


def read_metrics(path) -> list[dict]:
    return [json.loads(line) for line in (path / "metrics.json").read_text().splitlines()]
