"""The training loop, its hooks and its defaults."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch
import torch.distributed as dist
from detectron2.config import CfgNode, get_cfg
from detectron2.data import MetadataCatalog
from detectron2.engine import (
    AMPTrainer,
    DefaultPredictor,
    DefaultTrainer,
    HookBase,
    SimpleTrainer,
    TrainerBase,
    create_ddp_model,
    default_argument_parser,
    default_setup,
    default_writers,
    hooks,
    launch,
)
from detectron2.evaluation import DatasetEvaluator
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.utils.events import EventStorage, JSONWriter
from fvcore.common.checkpoint import Checkpointer
from torch import nn

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


@pytest.fixture
def _registered():
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


class _Recorder(HookBase):
    def __init__(self):
        self.calls: list[tuple[str, int]] = []

    def record(self, name):
        self.calls.append((name, self.trainer.iter))

    def before_train(self):
        self.record("before_train")

    def before_step(self):
        self.record("before_step")

    def after_backward(self):
        self.record("after_backward")

    def after_step(self):
        self.record("after_step")

    def after_train(self):
        self.record("after_train")


class _Stateful(HookBase):
    value = 0

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state_dict):
        self.value = state_dict["value"]


def test_order_of_hooks():
    trainer, recorder = make_trainer(), _Recorder()
    trainer.register_hooks([None, recorder])
    trainer.train(3, 5)
    step = ["before_step", "after_backward", "after_step"]
    expected = [("before_train", 3), *((s, i) for i in (3, 4) for s in step), ("after_train", 5)]
    assert recorder.calls == expected


def test_after_train_runs_after_a_failure():
    class Fails(TrainerBase):
        def run_step(self):
            raise ZeroDivisionError

    trainer, recorder = Fails(), _Recorder()
    trainer.register_hooks([recorder])
    with pytest.raises(ZeroDivisionError):
        trainer.train(0, 3)
    assert recorder.calls[-1] == ("after_train", 0)
    with pytest.raises(AssertionError):
        trainer.register_hooks([object()])


def test_training_lowers_the_loss_and_reports_it():
    trainer = make_trainer()
    trainer.train(0, 30)
    losses = [value for value, _ in trainer.storage.history("total_loss").values()]
    assert len(losses) == 30
    assert losses[-1] < losses[0] / 2
    latest = trainer.storage.latest()
    assert latest["loss_a"][0] == pytest.approx(2 * latest["loss_b"][0])
    assert {"data_time", "rank_data_time"} <= latest.keys()


def test_metrics_can_be_collected_less_often():
    trainer = make_trainer(gather_metric_period=5)
    trainer.train(0, 12)
    assert [i for _, i in trainer.storage.history("total_loss").values()] == [4, 9]


def test_loss_that_is_not_a_number_stops():
    class Broken(EngineTestModel):
        def forward(self, batch):
            return self.layer(batch).mean() * math.nan

    with pytest.raises(FloatingPointError, match="iteration=0"):
        make_trainer(Broken()).train(0, 1)


def test_model_in_eval_mode_is_refused():
    trainer = make_trainer()
    trainer.model.eval()
    with pytest.raises(AssertionError, match="eval"):
        trainer.train(0, 1)


def test_loader_is_started_late_and_replaced():
    started = []

    def load(name):
        started.append(name)
        yield from make_batches()

    trainer = make_trainer()
    trainer.data_loader = load("a")
    trainer.reset_data_loader(lambda: load("b"))
    assert not started
    trainer.train(0, 2)
    assert started == ["b"]


def test_states_of_trainer_and_hooks():
    trainer, hook = make_trainer(), _Stateful()
    hook.value = 5
    trainer.register_hooks([hook, _Stateful(), _Recorder()])
    trainer.train(0, 3)
    state = trainer.state_dict()
    assert state["iteration"] == 3
    assert state["hooks"] == {"_Stateful": {"value": 5}}
    assert state["optimizer"]["param_groups"][0]["lr"] == 0.1
    other, first, second = make_trainer(), _Stateful(), _Stateful()
    other.register_hooks([first, second])
    other.load_state_dict(state)
    assert (other.iter, first.value, second.value) == (3, 5, 0)
    make_trainer().load_state_dict(state)  # a hook that is gone is only warned of


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without CUDA")
@pytest.mark.filterwarnings("ignore")
def test_mixed_precision_needs_cuda():
    model = EngineTestModel()
    trainer = AMPTrainer(model, make_batches(), torch.optim.SGD(model.parameters(), 0.1))
    with pytest.raises(AssertionError, match="CUDA"):
        trainer.train(0, 1)


def test_timer_and_writer(tmp_path):
    trainer = make_trainer()
    writer = JSONWriter(str(tmp_path / "metrics.json"))
    trainer.register_hooks(
        [
            hooks.IterationTimer(),
            hooks.EvalHook(0, lambda: {"segm": {"AP": 40}}),
            hooks.PeriodicWriter([writer], period=4),
        ]
    )
    trainer.train(0, 10)
    lines = read_metrics(tmp_path)
    assert [line["iteration"] for line in lines] == [3, 7, 9, 10]
    assert lines[-1]["segm/AP"] == 40
    assert len(trainer.storage.history("time").values()) == 8  # the first 2 are not timed
    assert {"total_loss", "loss_a", "time", "data_time"} <= lines[0].keys()


@pytest.mark.parametrize(
    ("period", "length", "expected"), [(5, 10, [4, 10]), (5, 11, [4, 9, 11]), (0, 5, [5])]
)
def test_evaluations(period, length, expected):
    trainer, calls = make_trainer(), []
    trainer.register_hooks([hooks.EvalHook(period, lambda: calls.append(trainer.iter))])
    trainer.train(0, length)
    assert calls == expected


def test_evaluation_follows_a_changed_length():
    trainer, calls = make_trainer(), []

    class StopEarly(HookBase):
        def after_step(self):
            if self.trainer.iter == 1:
                self.trainer.max_iter = 4

    trainer.register_hooks([StopEarly(), hooks.EvalHook(4, lambda: calls.append(trainer.iter))])
    trainer.train(0, 6)
    assert calls == [6]  # not at 3: that is the last one now


def test_evaluation_may_be_off_at_the_end_and_must_return_numbers():
    trainer, calls = make_trainer(), []
    trainer.register_hooks(
        [hooks.EvalHook(0, lambda: calls.append(1), eval_after_train=False)],
    )
    trainer.train(0, 2)
    assert not calls
    trainer = make_trainer()
    trainer.register_hooks([hooks.EvalHook(1, lambda: {"a": "much"})])
    with pytest.raises(ValueError, match="much"):
        trainer.train(0, 2)


def test_learning_rate_is_stepped_logged_and_restored(tmp_path):
    def make(rate):
        trainer = make_trainer()
        trainer.optimizer.param_groups[0]["lr"] = rate
        scheduler = torch.optim.lr_scheduler.StepLR(trainer.optimizer, 2)
        checkpointer = Checkpointer(trainer.model, str(tmp_path), trainer=trainer)
        trainer.register_hooks(
            [hooks.LRScheduler(scheduler=scheduler), hooks.PeriodicCheckpointer(checkpointer, 3)]
        )
        return trainer, scheduler, checkpointer

    trainer, _, _ = make(1.0)
    trainer.train(0, 5)
    rates = [value for value, _ in trainer.storage.history("lr").values()]
    assert rates == pytest.approx([1, 1, 0.1, 0.1, 0.01])
    assert sorted(p.name for p in tmp_path.glob("*.pth")) == [
        "model_0000002.pth",
        "model_final.pth",
    ]
    resumed, scheduler, checkpointer = make(9.0)
    checkpointer.resume_or_load("")
    assert (resumed.iter, scheduler.last_epoch) == (4, 5)
    assert resumed.optimizer.param_groups[0]["lr"] == pytest.approx(0.01)


def test_group_to_log():
    def make(*groups):
        sizes = [[nn.Parameter(torch.zeros(1)) for _ in range(n)] for n, _ in groups]
        parameters = [{"params": p, "lr": g[1]} for p, g in zip(sizes, groups, strict=True)]
        return torch.optim.SGD(parameters, lr=1.0)

    choose = hooks.LRScheduler.get_best_param_group_id
    assert choose(make((1, 0.1), (3, 0.2), (2, 0.1))) == 1
    assert choose(make((1, 0.1), (1, 0.2), (1, 0.2))) == 1


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
