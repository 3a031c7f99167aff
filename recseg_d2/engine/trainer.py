"""The trainer of all models: Detectron2's DefaultTrainer with this package's parts put in."""

from __future__ import annotations

import logging
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.engine import DefaultTrainer, HookBase, hooks
from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.utils import comm
from detectron2.utils.events import EventWriter

from recseg_d2.config import read_options
from recseg_d2.config.options import EvaluationOptions, ModelOptions, SolverOptions
from recseg_d2.data.loader import build_test_loader, build_train_loader, build_val_loader
from recseg_d2.engine import solver
from recseg_d2.engine.checkpoints import (
    BEST,
    FINAL,
    RunCheckpointer,
    copy_whole,
    save_whole,
)
from recseg_d2.engine.flips import with_flips
from recseg_d2.engine.freezing import freeze_except
from recseg_d2.engine.hard_images import HardImages
from recseg_d2.engine.hooks import (
    EvaluateAtEnd,
    FreezeNorms,
    StepSeed,
    TellIteration,
    ValidationLoss,
    WeightAverage,
    unwrap,
)
from recseg_d2.engine.launch import without_device_ids
from recseg_d2.engine.loggers import more_writers, picture_logs, usable_writers
from recseg_d2.engine.loss_guard import NonfiniteGuard
from recseg_d2.engine.metrics_log import ContinueMetrics
from recseg_d2.engine.pictures import SamplePictures
from recseg_d2.engine.progress import BestCheckpoint, Curriculum, Plateau, TrainingEnded
from recseg_d2.engine.run_folder import METRICS, write_config
from recseg_d2.engine.stopping import StopOnRequest, StopRequests
from recseg_d2.engine.threshold_choice import ChooseScoreThresh
from recseg_d2.engine.thresholds import set_score_thresh
from recseg_d2.engine.training_step import TrainingStep
from recseg_d2.engine.weights import load_pretrained
from recseg_d2.evaluation import PredictionRecorder, build_evaluator
from recseg_d2.layers.synced_norm import synchronise_batch_norms

logger = logging.getLogger(__name__)


class Trainer(DefaultTrainer):
    """Trains one phase: one config from its first to its last iteration.

    Args:
        cfg: of the phase.
        requests: signals to stop that this process receives, if anybody listens.

    Attributes:
        ended_early: whether a metric ended training before its full length.
    """

    ended_early = False
    _hard_images: HardImages | None = None

    def __init__(self, cfg: CfgNode, requests: StopRequests | None = None) -> None:
        self._requests = requests or StopRequests()
        with without_device_ids(cfg.MODEL.DEVICE):
            super().__init__(cfg)
        options = read_options(cfg, SolverOptions)
        self._trainer: TrainingStep = TrainingStep(
            self.model,
            self.data_loader,
            self.optimizer,
            parts=options.accum_steps,
            float16=read_options(cfg, ModelOptions).precision == "float16",
            guard=NonfiniteGuard(cfg.OUTPUT_DIR, skip=options.nonfinite == "skip"),
        )

    @classmethod
    def build_model(cls, cfg: CfgNode) -> torch.nn.Module:
        """The model, with everything frozen that SOLVER.TRAINABLE does not name.

        Its first weights depend on the seed only, not on what the process did before.
        """
        if cfg.SEED >= 0:
            torch.manual_seed(cfg.SEED)
        model = super().build_model(cfg)
        freeze_except(model, read_options(cfg, SolverOptions).trainable)
        if read_options(cfg, ModelOptions).sync_batch_norms and comm.get_world_size() > 1:
            synchronise_batch_norms(model)
        return model

    @classmethod
    def build_optimizer(cls, cfg: CfgNode, model: torch.nn.Module) -> torch.optim.Optimizer:
        """The optimiser that SOLVER.OPTIMIZER names, see ``engine.solver``."""
        return solver.build_optimizer(cfg, model)

    @classmethod
    def build_lr_scheduler(cls, cfg: CfgNode, optimizer: torch.optim.Optimizer) -> Any:
        """The learning rate schedule of SOLVER.LR_SCHEDULER_NAME, see ``engine.solver``."""
        return solver.build_lr_scheduler(cfg, optimizer)

    @classmethod
    def build_train_loader(
        cls, cfg: CfgNode, start_iteration: int = 0, weights: Mapping[int, float] | None = None
    ) -> Any:
        """See ``data.loader``: repeatable, whatever the number of workers."""
        return build_train_loader(cfg, start_iteration, weights)

    @classmethod
    def build_test_loader(cls, cfg: CfgNode, dataset_name: str) -> Any:
        """Detectron2's, with proposals for models that classify them."""
        return build_test_loader(cfg, dataset_name)

    @classmethod
    def build_evaluator(cls, cfg: CfgNode, dataset_name: str) -> DatasetEvaluator:
        """By the data set's evaluator_type; per-image results go under OUTPUT_DIR/inference."""
        folder = Path(cfg.OUTPUT_DIR) / "inference" / dataset_name
        evaluator = build_evaluator(cfg, dataset_name, str(folder))
        if not read_options(cfg, EvaluationOptions).save_predictions:
            return evaluator
        model = META_ARCH_REGISTRY.get(cfg.MODEL.META_ARCHITECTURE)
        recorder = PredictionRecorder(
            dataset_name,
            folder,
            limit=cfg.TEST.DETECTIONS_PER_IMAGE,
            ordered=getattr(model, "ordered", False),
        )
        return DatasetEvaluators([evaluator, recorder])

    @classmethod
    def test(cls, cfg: CfgNode, model: torch.nn.Module, evaluators: Any = None) -> Any:
        """Detectron2's, with the flipped views of TEST.FLIPS."""
        return super().test(cfg, with_flips(model, cfg), evaluators)

    def resume_or_load(self, resume: bool = True) -> None:
        """Load weights or, on resuming, everything; the data goes on where it broke off.

        Rates, decays and the schedule are those of the config, also where the checkpoint has others
        (see SOLVER.RESUME_CHANGES).

        Raises:
            UserError: too few weights fit.
        """
        own = [
            {key: value for key, value in group.items() if key != "params"}
            for group in self.optimizer.param_groups
        ]
        if resume and self.checkpointer.has_checkpoint():
            super().resume_or_load(resume)
        elif self.cfg.MODEL.WEIGHTS:
            least = read_options(self.cfg, ModelOptions).weights_min_fraction
            load_pretrained(self.model, self.cfg.MODEL.WEIGHTS, least)
        if self.start_iter > 0:
            self.scheduler.base_lrs = [settings["initial_lr"] for settings in own]
            rates = self.scheduler.get_lr()
            groups = self.optimizer.param_groups
            for group, settings, rate in zip(groups, own, rates, strict=True):
                group.update({**settings, "lr": rate})
            drawn_by = self._hard_images.weights if self._hard_images else None
            self._restart_data(self.start_iter, drawn_by)

    def _restart_data(self, iteration: int, weights: Mapping[int, float] | None) -> None:
        """Go on at an iteration of the stream of samples, with images drawn by these weights."""
        self._trainer.reset_data_loader(
            lambda: self.build_train_loader(self.cfg, iteration, weights)
        )

    def train(self) -> Any:  # type: ignore[override]
        """Train to the end, or to an earlier one that a hook decided on."""
        try:
            return super().train()
        except TrainingEnded:
            self.ended_early = True
            return self.last_results

    def after_train(self) -> None:
        """Call the hooks; where all iterations were done before, as if after the last of them."""
        self.iter = min(self.iter, self.max_iter)
        super().after_train()

    @property
    def last_results(self) -> dict[str, Any]:
        """Results of the last evaluation; empty before the first."""
        return getattr(self, "_last_eval_results", {})

    def build_hooks(self) -> list[HookBase | None]:
        """All hooks, in the order in which they need each other."""
        # here, since Detectron2 makes its own checkpointer, and then asks for the hooks
        self.checkpointer = RunCheckpointer(
            self.model, self.cfg.OUTPUT_DIR, trainer=weakref.proxy(self)
        )
        cfg, options = self.cfg, read_options(self.cfg, SolverOptions)
        built: list[HookBase | None] = [
            hooks.IterationTimer(),
            hooks.LRScheduler(),
            StepSeed(max(cfg.SEED, 0), self.model, self._position),
            TellIteration(self.model),
            FreezeNorms(self.model),
        ]
        if options.hard_images_period > 0:
            period = options.hard_images_period
            self._hard_images = HardImages(self.model, period, self._restart_data)
            built.append(self._hard_images)
        averaged: Callable[[], AbstractContextManager[None]] = nullcontext
        if options.ema_decay > 0:
            average = WeightAverage(self.model, options.ema_decay, self._save_final)
            built.append(average)
            averaged = average.applied
        if read_options(cfg, EvaluationOptions).threshold_images > 0:
            built.append(ChooseScoreThresh(cfg, self.model, self._keep_score_thresh))
        writers = self.build_writers() if comm.is_main_process() else []
        built += self._evaluation_hooks(averaged, writers)
        built += self._progress_hooks(averaged)
        built.append(ContinueMetrics(writers, Path(cfg.OUTPUT_DIR) / METRICS))
        # after every hook that has state, or a resumed run would miss this step's part of it
        if comm.is_main_process():
            period = cfg.SOLVER.CHECKPOINT_PERIOD
            built.append(hooks.PeriodicCheckpointer(self.checkpointer, period))
        built.append(StopOnRequest(self._requests, self.checkpointer))
        if comm.is_main_process():
            built.append(hooks.PeriodicWriter(writers, period=options.log_period))
        return built

    def _position(self) -> int:
        """Number of the forward pass in training, over all iterations, processes and parts."""
        step = self.iter * comm.get_world_size() + comm.get_rank()
        return step * self._trainer.parts + self._trainer.part

    def build_writers(self) -> list[EventWriter]:
        """Detectron2's that can write here, and those that LOGGER names."""
        return [*usable_writers(super().build_writers()), *more_writers(self.cfg)]

    def _evaluation_hooks(
        self,
        averaged: Callable[[], AbstractContextManager[None]],
        writers: Sequence[EventWriter],
    ) -> list[HookBase | None]:
        cfg, period = self.cfg, self.cfg.TEST.EVAL_PERIOD
        options = read_options(cfg, EvaluationOptions)

        def evaluate() -> dict[str, Any]:
            with averaged():
                self._last_eval_results = self.test(cfg, self.model)
            return self._last_eval_results

        built: list[HookBase | None] = []
        if not cfg.DATASETS.TEST:
            return built
        if options.val_loss:
            name = cfg.DATASETS.TEST[0]
            built.append(
                ValidationLoss(period, self.model, lambda: build_val_loader(cfg, name), averaged)
            )
        built.append(EvaluateAtEnd(period, evaluate))
        if options.num_pictures > 0 and comm.is_main_process():
            logs = picture_logs(cfg, writers)
            built.append(SamplePictures(cfg, self.model, averaged, logs))
        return built

    def _progress_hooks(
        self, averaged: Callable[[], AbstractContextManager[None]]
    ) -> list[HookBase | None]:
        options = read_options(self.cfg, SolverOptions)
        cur, end = options.curriculum, options.plateau
        built: list[HookBase | None] = []
        curriculum = None
        if cur.start > 0:
            plateau = Plateau(cur.patience, end.higher_is_better)
            curriculum = Curriculum(self.model, cur.start, cur.end, cur.every, plateau, end.metric)
            built.append(curriculum)
        if self.cfg.DATASETS.TEST and end.metric:
            built.append(
                BestCheckpoint(
                    end.metric,
                    Plateau(end.patience, end.higher_is_better),
                    save_best=lambda: self._save_best(averaged),
                    finish=self._finish_with_best,
                    curriculum=curriculum,
                )
            )
        return built

    def _keep_score_thresh(self, least: float) -> None:
        """Into the config, and into the file that prediction takes it from."""
        self.cfg.defrost()
        set_score_thresh(self.cfg, least)
        self.cfg.freeze()
        if comm.is_main_process():
            write_config(self.cfg)

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
                save_whole(state, Path(self.cfg.OUTPUT_DIR) / BEST)

    def _finish_with_best(self) -> None:
        if comm.is_main_process():
            folder = Path(self.cfg.OUTPUT_DIR)
            copy_whole(folder / BEST, folder / FINAL)
        comm.synchronize()
