"""The LazyConfigs train by Detectron2's own loop; its embedded subset has none."""

from __future__ import annotations

import ast
import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from detectron2.data import DatasetCatalog

import recseg_d2

ROOT = Path(__file__).parent.parent
CONFIGS = sorted(path for path in ROOT.glob("configs/lazy/*.py") if path.stem != "common")
needs_detectron2 = pytest.mark.skipif(
    recseg_d2.BACKEND != "detectron2", reason="needs Detectron2 itself"
)


def test_there_is_one_for_every_model_that_needs_no_other():
    text = "".join(path.read_text() for path in CONFIGS)
    for name in ("ConvLSTMSemInstSeg", "RecurrentAttentionSeg", "InstanceFCNProposal", "Dense"):
        assert f"model = L({name}" in text


@pytest.mark.parametrize("path", [*CONFIGS, ROOT / "configs/lazy/common.py"], ids=lambda p: p.stem)
def test_what_a_file_imports_of_the_package_is_there(path):
    imports = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.ImportFrom)]
    own = [node for node in imports if (node.module or "").startswith("recseg_d2")]
    assert own
    for node in own:
        module = importlib.import_module(node.module)
        assert [name.name for name in node.names if not hasattr(module, name.name)] == []


@pytest.fixture
def few_images():
    """The synthetic data sets with few images."""
    names = ["synthetic_rosettes_train", "synthetic_rosettes_val"]
    before = {name: DatasetCatalog[name] for name in names}
    for name in names:
        DatasetCatalog[name] = replace(before[name], num_images=2)
    yield
    for name, source in before.items():
        DatasetCatalog[name] = source


@needs_detectron2
@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_a_lazy_config_trains_and_is_evaluated(path, few_images):
    from detectron2.config import LazyConfig, instantiate
    from detectron2.engine import SimpleTrainer
    from detectron2.evaluation import inference_on_dataset

    cfg = LazyConfig.load(str(path))
    overrides = ["dataloader.train.total_batch_size=2", "dataloader.train.num_workers=0"]
    cfg = LazyConfig.apply_overrides(cfg, [*overrides, "dataloader.test.num_workers=0"])
    model = instantiate(cfg.model).to("cpu")
    cfg.optimizer.params.model = model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer = SimpleTrainer(model, instantiate(cfg.dataloader.train), instantiate(cfg.optimizer))
    trainer.train(0, 1)
    assert any(not torch.equal(v, before[k]) for k, v in model.state_dict().items())
    results = inference_on_dataset(
        model, instantiate(cfg.dataloader.test), instantiate(cfg.dataloader.evaluator)
    )
    assert results
