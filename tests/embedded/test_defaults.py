"""The default trainer, predictor, set-up, writers and launch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.distributed as dist
from detectron2.config import CfgNode, get_cfg
from detectron2.data import MetadataCatalog
from detectron2.engine import (
    DefaultPredictor,
    DefaultTrainer,
    create_ddp_model,
    default_argument_parser,
    default_setup,
    default_writers,
    launch,
)
from detectron2.evaluation import DatasetEvaluator
from detectron2.utils.events import EventStorage
from embedded.engine_parts import (
    ARCHITECTURE,
    EngineTestModel,
    make_batches,
    read_metrics,
    register,
)


@pytest.fixture
def _registered():
    register()


def make_cfg(tmp_path) -> CfgNode:
    cfg = get_cfg()
    cfg.MODEL.META_ARCHITECTURE, cfg.MODEL.DEVICE, cfg.MODEL.WEIGHTS = ARCHITECTURE, "cpu", ""
    cfg.DATASETS.TEST, cfg.OUTPUT_DIR = ("engine_test",), str(tmp_path)
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.CHECKPOINT_PERIOD, cfg.SOLVER.WARMUP_ITERS = 6, 3, 0
    cfg.TEST.EVAL_PERIOD, cfg.SEED = 3, 1
    return cfg


class _MeanEvaluator(DatasetEvaluator):
    def reset(self):
        self.means = []

    def process(self, inputs, outputs):
        self.means += [float(o["mean"]) for o in outputs]

    def evaluate(self):
        return {"all": {"mean": float(np.mean(self.means))}}


class _Trainer(DefaultTrainer):
    @classmethod
    def build_train_loader(cls, cfg):
        return make_batches(cfg.SEED)

    @classmethod
    def build_test_loader(cls, cfg, dataset_name):
        return [[{"image": torch.full((3, 2, 2), float(i))}] for i in range(3)]

    @classmethod
    def build_evaluator(cls, cfg, dataset_name):
        return _MeanEvaluator()


@pytest.mark.usefixtures("_registered")
def test_default_trainer_trains_and_verifies(tmp_path):
    cfg = make_cfg(tmp_path)
    cfg.TEST.EXPECTED_RESULTS = [["all", "mean", 1.0, 0.01]]
    trainer = _Trainer(cfg)
    assert trainer.model is trainer._trainer.model
    assert trainer.optimizer is trainer._trainer.optimizer
    trainer.resume_or_load(resume=False)
    assert trainer.train() == {"all": {"mean": 1.0}}
    names = {path.name for path in tmp_path.iterdir()}
    assert {"model_0000002.pth", "model_final.pth", "last_checkpoint", "metrics.json"} <= names
    last = read_metrics(tmp_path)[-1]
    assert last["all/mean"] == 1.0
    trainer.model = replaced = EngineTestModel()
    assert trainer._trainer.model is replaced


@pytest.mark.usefixtures("_registered")
def test_default_trainer_resumes(tmp_path):
    trainer = _Trainer(make_cfg(tmp_path))
    trainer.resume_or_load(resume=False)
    trainer.train()
    content = torch.load(tmp_path / "model_final.pth", weights_only=False)
    assert {"model", "trainer", "iteration"} <= content.keys()
    assert content["trainer"]["iteration"] == 5
    assert content["trainer"]["hooks"]["LRScheduler"]["last_epoch"] == 6
    assert {"iteration", "optimizer"} <= content["trainer"]["_trainer"].keys()
    cfg = make_cfg(tmp_path)
    cfg.SOLVER.MAX_ITER = 8
    resumed = _Trainer(cfg)
    resumed.resume_or_load(resume=True)
    assert resumed.start_iter == 6
    assert torch.equal(resumed.model.layer.weight, trainer.model.layer.weight)
    assert resumed.scheduler.last_epoch == 6
    resumed.train()
    assert resumed.iter == 8


@pytest.mark.usefixtures("_registered")
def test_default_trainer_without_evaluator(tmp_path):
    cfg = make_cfg(tmp_path)
    assert DefaultTrainer.__dict__["build_evaluator"]
    with pytest.raises(NotImplementedError):
        DefaultTrainer.build_evaluator(cfg, "engine_test")
    cfg.DATASETS.TEST = ("a", "b")
    results = _Trainer.test(cfg, EngineTestModel(), [_MeanEvaluator(), _MeanEvaluator()])
    assert list(results) == ["a", "b"]
    with pytest.raises(AssertionError):
        _Trainer.test(cfg, EngineTestModel(), _MeanEvaluator())


@pytest.mark.usefixtures("_registered")
def test_default_predictor(tmp_path):
    cfg = make_cfg(tmp_path)
    cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.FORMAT = 4, "RGB"
    predictor = DefaultPredictor(cfg)
    assert predictor.metadata is MetadataCatalog.get("engine_test")
    assert not predictor.model.training
    output = predictor(np.full((2, 3, 3), 7, np.uint8))
    assert float(output["mean"]) == 7
    assert output["shape"] == (3, 4, 6)
    MetadataCatalog.remove("engine_test")


def test_command_line():
    args = default_argument_parser().parse_args(
        ["--resume", "--num-gpus", "2", "SOLVER.BASE_LR", "1"]
    )
    assert (args.resume, args.num_gpus, args.opts) == (True, 2, ["SOLVER.BASE_LR", "1"])
    assert (args.config_file, args.eval_only, args.machine_rank) == ("", False, 0)
    assert args.dist_url.startswith("tcp://127.0.0.1:")


def test_setup_writes_config_and_log(tmp_path):
    cfg = make_cfg(tmp_path / "out")
    state = torch.random.get_rng_state()
    default_setup(cfg, default_argument_parser().parse_args([]))
    assert torch.initial_seed() == cfg.SEED
    assert CfgNode.load_yaml_with_base(str(tmp_path / "out" / "config.yaml"))["SEED"] == cfg.SEED
    assert (tmp_path / "out" / "log.txt").exists()
    torch.random.set_rng_state(state)


def test_default_writers_write(tmp_path):
    with EventStorage(0) as storage:
        writers = default_writers(str(tmp_path), 10)
        storage.put_scalars(total_loss=1.0, lr=0.1)
        for writer in writers:
            writer.write()
            writer.close()
    assert read_metrics(tmp_path)[0]["total_loss"] == 1.0
    assert list(tmp_path.glob("events.out.tfevents*"))


def test_single_process_is_called_here():
    seen = []
    launch(seen.append, 1, args=(3,))
    assert seen == [3]
    model = EngineTestModel()
    assert create_ddp_model(model) is model


def _write_rank(folder: str) -> None:
    total = torch.tensor([float(dist.get_rank())])
    dist.all_reduce(total)
    model = create_ddp_model(EngineTestModel(), device_ids=None)
    model(torch.randn(4, 2))["loss_a"].backward()
    with open(f"{folder}/{dist.get_rank()}", "w") as file:
        file.write(str(total.item()))
    dist.barrier()  # nobody leaves while another still talks
    dist.destroy_process_group()


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="would ask for two GPUs")
def test_two_processes(tmp_path):
    launch(_write_rank, 2, dist_url="auto", args=(str(tmp_path),))
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"0": "1.0", "1": "1.0"}
