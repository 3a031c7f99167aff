"""The trainer of all models: Detectron2's DefaultTrainer with this package's parts put in."""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import DefaultTrainer, HookBase, hooks
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.utils import comm

from recseg_d2.data.loader import build_test_loader, build_train_loader, build_val_loader
from recseg_d2.engine import solver
from recseg_d2.engine.hooks import (
    FreezeNorms,
    StepSeed,
    TellIteration,
    ValidationLoss,
    WeightAverage,
    unwrap,
)
from recseg_d2.engine.pictures import SamplePictures
from recseg_d2.engine.progress import BestCheckpoint, Curriculum, Plateau, TrainingEnded
from recseg_d2.errors import UserError
from recseg_d2.evaluation import PredictionRecorder, build_evaluator
from recseg_d2.meta_arch.sequential import SequentialModel

logger = logging.getLogger(__name__)

BEST, FINAL = "model_best.pth", "model_final.pth"


class Trainer(DefaultTrainer):
    """Trains one phase: one config from its first to its last iteration."""

    @classmethod
    def build_model(cls, cfg: CfgNode) -> torch.nn.Module:
        """The model, with everything frozen that SOLVER.TRAINABLE does not name.

        Its first weights depend on the seed only, not on what the process did before.
        """
        if cfg.SEED >= 0:
            torch.manual_seed(cfg.SEED)
        model = super().build_model(cfg)
        freeze_except(model, cfg.SOLVER.TRAINABLE)
        return model

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: torch.nn.Module) -> torch.optim.Optimizer:
        """See ``engine.solver``."""
        return solver.build_optimizer(cfg, model)

    @classmethod
    def build_lr_scheduler(cls, cfg: CfgNode, optimizer: torch.optim.Optimizer) -> Any:
        """See ``engine.solver``."""
        return solver.build_lr_scheduler(cfg, optimizer)

    @classmethod
    def build_train_loader(cls, cfg: CfgNode, start_iteration: int = 0) -> Any:
        """See ``data.loader``: repeatable, whatever the number of workers."""
        return build_train_loader(cfg, start_iteration=start_iteration)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        """Detectron2's, with proposals for models that classify them."""
        return build_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> DatasetEvaluator:
        """By the data set's evaluator_type; per-image results go under OUTPUT_DIR/inference."""
        folder = Path(cfg.OUTPUT_DIR) / "inference" / dataset_name
        evaluator = build_evaluator(cfg, dataset_name, str(folder))
        if not cfg.TEST.SAVE_PREDICTIONS:
            return evaluator
        model = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)
        recorder = PredictionRecorder(
            dataset_name,
            folder,
            limit=cfg.TEST.DETECTIONS_PER_IMAGE,
            ordered=isinstance(model, type) and issubclass(model, SequentialModel),
        )
        return DatasetEvaluators([evaluator, recorder])

    def resume_or_load(self, resume: bool = True) -> None:
        """Load weights or, on resuming, everything; the data goes on where it broke off."""
        super().resume_or_load(resume)
        if self.start_iter > 0:
            start = self.start_iter
            self._trainer.reset_data_loader(lambda: self.build_train_loader(self.cfg, start))

    def train(self) -> Any:  # type: ignore[override]
        """Train to the end, or to an earlier one that a hook decided on."""
        try:
            return super().train()
        except TrainingEnded:
            return self.last_results

    @property
    def last_results(self) -> dict[str, Any]:
        """Results of the last evaluation; empty before the first."""
        return getattr(self, "_last_eval_results", {})

    def build_hooks(self) -> list[HookBase | None]:
        """All hooks, in the order in which they need each other."""
        cfg = self.cfg
        built: list[HookBase | None] = [
            hooks.IterationTimer(),
            hooks.LRScheduler(),
            StepSeed(max(cfg.SEED, 0), self.model),
            TellIteration(self.model),
            FreezeNorms(self.model),
        ]
        averaged: Callable[[], AbstractContextManager[None]] = nullcontext
        if cfg.SOLVER.EMA_DECAY > 0:
            average = WeightAverage(self.model, cfg.SOLVER.EMA_DECAY, self._save_final)
            built.append(average)
            averaged = average.applied
        built += self._evaluation_hooks(averaged)
        built += self._progress_hooks(averaged)
        if comm.is_main_process():
            # after every hook that has state, or a resumed run would miss this step's part of it
            period = cfg.SOLVER.CHECKPOINT_PERIOD
            built.append(hooks.PeriodicCheckpointer(self.checkpointer, period))
            built.append(hooks.PeriodicWriter(self.build_writers(), period=cfg.SOLVER.LOG_PERIOD))
        return built

    def _evaluation_hooks(
        self, averaged: Callable[[], AbstractContextManager[None]]
    ) -> list[HookBase | None]:
        cfg, period = self.cfg, self.cfg.TEST.EVAL_PERIOD

        def evaluate() -> dict[str, Any]:
            with averaged():
                self._last_eval_results = self.test(cfg, self.model)
            return self._last_eval_results

        built: list[HookBase | None] = []
        if not cfg.DATASETS.TEST:
            return built
        if cfg.TEST.VAL_LOSS:
            name = cfg.DATASETS.TEST[0]
            built.append(
                ValidationLoss(period, self.model, lambda: build_val_loader(cfg, name), averaged)
            )
        built.append(hooks.EvalHook(period, evaluate))
        if cfg.TEST.NUM_PICTURES > 0 and comm.is_main_process():
            built.append(SamplePictures(cfg, self.model, averaged))
        return built

    def _progress_hooks(
        self, averaged: Callable[[], AbstractContextManager[None]]
    ) -> list[HookBase | None]:
        cur, end = self.cfg.SOLVER.CURRICULUM, self.cfg.SOLVER.PLATEAU
        built: list[HookBase | None] = []
        if cur.START > 0:
            plateau = Plateau(cur.PATIENCE, end.HIGHER_IS_BETTER)
            built.append(Curriculum(self.model, cur.START, cur.EVERY, plateau, end.METRIC))
        if self.cfg.DATASETS.TEST and end.METRIC:
            built.append(
                BestCheckpoint(
                    end.METRIC,
                    Plateau(end.PATIENCE, end.HIGHER_IS_BETTER),
                    save_best=lambda: self._save_best(averaged),
                    finish=self._finish_with_best,
                )
            )
        return built

    def _save_final(self) -> None:
        counter = self.iter  # after the last step the loop leaves it one too far to go on from
        self.iter = min(counter, self.max_iter - 1)
        self.checkpointer.save(Path(FINAL).stem, iteration=self.iter)
        self.iter = counter

    def _save_best(self, averaged: Callable[[], AbstractContextManager[None]]) -> None:
        """The model alone, so that resuming still starts from the latest checkpoint."""
        if comm.is_main_process():
            with averaged():
                state = {"model": unwrap(self.model).state_dict(), "iteration": self.iter}
                torch.save(state, Path(self.cfg.OUTPUT_DIR) / BEST)

    def _finish_with_best(self) -> None:
        if comm.is_main_process():
            folder = Path(self.cfg.OUTPUT_DIR)
            shutil.copyfile(folder / BEST, folder / FINAL)
        comm.synchronize()


def freeze_except(model: torch.nn.Module, patterns: list[str]) -> None:
    """Freeze every parameter whose name none of the regular expressions matches at its start.

    Raises:
        UserError: a pattern matches no parameter.
    """
    names = [name for name, _ in model.named_parameters()]
    for pattern in patterns:
        if not any(re.match(pattern, name) for name in names):
            tops = sorted({name.split(".")[0] for name in names})
            raise UserError(
                f"SOLVER.TRAINABLE: {pattern!r} matches no parameter; names begin with {tops}."
            )
    for name, parameter in model.named_parameters() if patterns else ():
        if not any(re.match(pattern, name) for pattern in patterns):
            parameter.requires_grad_(False)
