"""What most training scripts do, ready made."""

from __future__ import annotations

import argparse
import logging
import os
import sys
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

import detectron2.data.transforms as T
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode
from detectron2.data import (
    MetadataCatalog,
    build_detection_test_loader,
    build_detection_train_loader,
)
from detectron2.evaluation import (
    DatasetEvaluator,
    inference_on_dataset,
    print_csv_format,
    verify_results,
)
from detectron2.modeling import build_model
from detectron2.solver import LRScheduler, build_lr_scheduler, build_optimizer
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng
from detectron2.utils.events import CommonMetricPrinter, EventWriter, JSONWriter, TensorboardXWriter
from detectron2.utils.file_io import PathManager
from detectron2.utils.logger import setup_logger

from . import hooks
from .train_loop import AMPTrainer, HookBase, SimpleTrainer, TrainerBase

__all__ = [
    "DefaultPredictor",
    "DefaultTrainer",
    "create_ddp_model",
    "default_argument_parser",
    "default_setup",
    "default_writers",
]

logger = logging.getLogger(__name__)

_FIRST_PRIVATE_PORT, _PRIVATE_PORTS = 49152, 16384  # free for any use (RFC 6335)


def create_ddp_model(model: nn.Module, **kwargs: Any) -> nn.Module:
    """The model for distributed training, if there is more than one process."""
    if comm.get_world_size() == 1:
        return model
    if "device_ids" not in kwargs:
        kwargs["device_ids"] = [comm.get_local_rank()]
    return DistributedDataParallel(model, **kwargs)


def default_argument_parser(epilog: str | None = None) -> argparse.ArgumentParser:
    """The command line of training scripts."""
    parser = argparse.ArgumentParser(
        epilog=epilog or f"Example: {sys.argv[0]} --config-file cfg.yaml SOLVER.BASE_LR 0.001",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--config-file", default="", metavar="FILE", help="path to config file")
    add("--resume", action="store_true", help="go on from the last checkpoint of OUTPUT_DIR")
    add("--eval-only", action="store_true", help="perform evaluation only")
    add("--num-gpus", type=int, default=1, help="number of processes (GPUs) *per machine*")
    add("--num-machines", type=int, default=1, help="total number of machines")
    add("--machine-rank", type=int, default=0, help="rank of this machine, from 0")
    user = os.getuid() if hasattr(os, "getuid") else 1
    port = _FIRST_PRIVATE_PORT + user % _PRIVATE_PORTS
    add("--dist-url", default=f"tcp://127.0.0.1:{port}", help="where distributed processes meet")
    changes = 'changes of the config as "PATH.KEY VALUE" pairs at the end of the command'
    add("opts", nargs=argparse.REMAINDER, help=changes)
    return parser


def default_setup(cfg: CfgNode, args: Any) -> None:
    """Logging, ``config.yaml`` in the output folder, and seeds; ``args`` is the command line."""
    rank = comm.get_rank()
    if comm.is_main_process() and cfg.OUTPUT_DIR:
        PathManager.mkdirs(cfg.OUTPUT_DIR)
    setup_logger(cfg.OUTPUT_DIR, distributed_rank=rank, name="fvcore")
    log = setup_logger(cfg.OUTPUT_DIR, distributed_rank=rank)
    log.info("Rank of current process: %d. World size: %d", rank, comm.get_world_size())
    log.info("Python %s, torch %s", sys.version.replace("\n", ""), torch.__version__)
    log.info("Command line arguments: %s", args)
    if comm.is_main_process() and cfg.OUTPUT_DIR:
        log.info("Running with full config:\n%s", cfg.dump())
        path = os.path.join(cfg.OUTPUT_DIR, "config.yaml")
        with PathManager.open(path, "w") as file:
            file.write(cfg.dump())
        log.info("Full config saved to %s", path)
    seed_all_rng(None if cfg.SEED < 0 else cfg.SEED + rank)
    if not getattr(args, "eval_only", False):
        torch.backends.cudnn.benchmark = cfg.CUDNN_BENCHMARK


def default_writers(output_dir: str, max_iter: int | None = None) -> list[EventWriter]:
    """The terminal, ``metrics.json`` and TensorBoard files."""
    PathManager.mkdirs(output_dir)
    return [
        CommonMetricPrinter(max_iter),
        JSONWriter(os.path.join(output_dir, "metrics.json")),
        TensorboardXWriter(output_dir),
    ]


class DefaultPredictor:
    """The model of a config, with its weights, for one image at a time.

    ``metadata`` is that of the first of ``cfg.DATASETS.TEST``.
    """

    def __init__(self, cfg: CfgNode):
        self.cfg = cfg.clone()
        self.model = build_model(self.cfg).eval()
        if len(cfg.DATASETS.TEST):
            self.metadata = MetadataCatalog.get(cfg.DATASETS.TEST[0])
        DetectionCheckpointer(self.model).load(cfg.MODEL.WEIGHTS)
        self.aug = T.ResizeShortestEdge(cfg.INPUT.MIN_SIZE_TEST, cfg.INPUT.MAX_SIZE_TEST)
        self.input_format = cfg.INPUT.FORMAT
        assert self.input_format in ("RGB", "BGR"), (
            f"DefaultPredictor needs INPUT.FORMAT RGB or BGR, got {self.input_format!r}."
        )

    def __call__(self, original_image: np.ndarray) -> dict[str, Any]:
        """The model's output for an image (H, W, 3), always in BGR order."""
        if self.input_format == "RGB":
            original_image = original_image[:, :, ::-1]
        height, width = original_image.shape[:2]
        image = self.aug.get_transform(original_image).apply_image(original_image)
        tensor = torch.as_tensor(image.astype("float32").transpose(2, 0, 1))
        inputs = {"image": tensor.to(self.cfg.MODEL.DEVICE), "height": height, "width": width}
        with torch.no_grad():
            return self.model([inputs])[0]


def _delegate(name: str) -> Any:
    """A property that is the ``_trainer``'s of the same name."""
    return property(
        lambda self: getattr(self._trainer, name),
        lambda self, value: setattr(self._trainer, name, value),
    )


class DefaultTrainer(TrainerBase):
    """Training as a config says.

    The work is done by a ``SimpleTrainer`` or ``AMPTrainer`` in ``_trainer``. Overwrite
    ``build_*`` and ``test`` to change a part.
    """

    def __init__(self, cfg: CfgNode):
        super().__init__()
        if not logging.getLogger("detectron2").isEnabledFor(logging.INFO):
            setup_logger()  # nobody did
        model = self.build_model(cfg)
        optimizer = self.build_optimizer(cfg, model)
        data_loader = self.build_train_loader(cfg)
        model = create_ddp_model(model, broadcast_buffers=False)
        trainer_class = AMPTrainer if cfg.SOLVER.AMP.ENABLED else SimpleTrainer
        self._trainer = trainer_class(model, data_loader, optimizer)
        self.scheduler = self.build_lr_scheduler(cfg, optimizer)
        self.checkpointer = DetectionCheckpointer(
            model, cfg.OUTPUT_DIR, trainer=weakref.proxy(self)
        )
        self.start_iter = 0
        self.max_iter = cfg.SOLVER.MAX_ITER
        self.cfg = cfg
        self.register_hooks(self.build_hooks())

    model = _delegate("model")
    data_loader = _delegate("data_loader")
    optimizer = _delegate("optimizer")

    def resume_or_load(self, resume: bool = True) -> None:
        """Go on from the last checkpoint in ``OUTPUT_DIR``, or start with ``MODEL.WEIGHTS``.

        With ``resume`` and a checkpoint everything is restored, and MODEL.WEIGHTS is not used.
        """
        self.checkpointer.resume_or_load(self.cfg.MODEL.WEIGHTS, resume=resume)
        if resume and self.checkpointer.has_checkpoint():
            self.start_iter = self.iter + 1  # the checkpoint holds the last one that was done

    def build_hooks(self) -> list[HookBase | None]:
        """Timer, learning rate, checkpoints, evaluation, writers."""
        period = self.cfg.SOLVER.CHECKPOINT_PERIOD
        only_main = comm.is_main_process()

        def test_and_save_results() -> Any:
            self._last_eval_results = self.test(self.cfg, self.model)
            return self._last_eval_results

        return [
            hooks.IterationTimer(),
            hooks.LRScheduler(),
            hooks.PeriodicCheckpointer(self.checkpointer, period) if only_main else None,
            hooks.EvalHook(self.cfg.TEST.EVAL_PERIOD, test_and_save_results),
            hooks.PeriodicWriter(self.build_writers()) if only_main else None,
        ]

    def build_writers(self) -> list[EventWriter]:
        return default_writers(self.cfg.OUTPUT_DIR, self.max_iter)

    def train(self) -> Any:  # type: ignore[override]
        """Train; returns the last results, if ``cfg.TEST.EXPECTED_RESULTS`` is to be verified."""
        super().train(self.start_iter, self.max_iter)
        if not len(self.cfg.TEST.EXPECTED_RESULTS) or not comm.is_main_process():
            return None
        assert hasattr(self, "_last_eval_results"), "No evaluation results during training!"
        verify_results(self.cfg, self._last_eval_results)
        return self._last_eval_results

    def run_step(self) -> None:
        self._trainer.iter = self.iter
        self._trainer.run_step()

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "_trainer": self._trainer.state_dict()}

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict(state_dict)
        self._trainer.load_state_dict(state_dict["_trainer"])

    @classmethod
    def build_model(cls, cfg: CfgNode) -> nn.Module:
        model = build_model(cfg)
        logger.info("Model:\n%s", model)
        return model

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: nn.Module) -> torch.optim.Optimizer:
        return build_optimizer(cfg, model)

    @classmethod
    def build_lr_scheduler(cls, cfg: CfgNode, optimizer: torch.optim.Optimizer) -> LRScheduler:
        return build_lr_scheduler(cfg, optimizer)

    @classmethod
    def build_train_loader(cls, cfg: CfgNode) -> Any:
        return build_detection_train_loader(cfg)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        return build_detection_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> Any:
        raise NotImplementedError(
            "To evaluate during training, implement build_evaluator() in a subclass of "
            "DefaultTrainer, or call DefaultTrainer.test with evaluators."
        )

    @classmethod
    def test(cls, cfg: CfgNode, model: nn.Module, evaluators: Any = None) -> Any:
        """{data set: results} of ``cfg.DATASETS.TEST``; where there is one, its results.

        ``evaluators`` is one for each data set; None builds them.
        """
        names = cfg.DATASETS.TEST
        if isinstance(evaluators, DatasetEvaluator):
            evaluators = [evaluators]
        assert evaluators is None or len(evaluators) == len(names), (
            f"DATASETS.TEST names {len(names)} data sets, but {len(evaluators)} evaluators came."
        )
        results: OrderedDict = OrderedDict()
        for index, name in enumerate(names):
            data_loader = cls.build_test_loader(cfg, name)
            try:
                evaluator = evaluators[index] if evaluators else cls.build_evaluator(cfg, name)
            except NotImplementedError:
                logger.warning("No evaluator found: give `evaluators`, or write build_evaluator.")
                results[name] = {}
                continue
            results[name] = inference_on_dataset(model, data_loader, evaluator)
            if comm.is_main_process():
                logger.info("Evaluation results for %s in csv format:", name)
                print_csv_format(results[name])
        return next(iter(results.values())) if len(results) == 1 else results
