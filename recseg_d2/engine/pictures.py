"""Draws the same few validation images at every evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.engine import HookBase
from detectron2.evaluation import inference_context
from torch import nn

from recseg_d2.config import read_options
from recseg_d2.config.options import EvaluationOptions
from recseg_d2.data.mapper import TestMapper
from recseg_d2.data.proposals import TEST, add_proposals
from recseg_d2.engine.hooks import at_evaluation, unwrap
from recseg_d2.engine.loggers import PictureLog
from recseg_d2.engine.predictor import traced_inference
from recseg_d2.visualization.pictures import draw_pictures


class SamplePictures(HookBase):
    """Writes pictures of the first TEST.NUM_PICTURES images of DATASETS.TEST.

    They go to OUTPUT_DIR/pictures, and replace those of the evaluation before.

    Args:
        cfg: config of the run.
        model: the model that is trained.
        context: gives what is entered while predicting, as a ``WeightAverage``'s ``applied``.
        logs: where the pictures go as well, with their iteration.
    """

    def __init__(
        self,
        cfg: CfgNode,
        model: nn.Module,
        context: Callable[[], AbstractContextManager[None]],
        logs: Sequence[PictureLog] = (),
    ) -> None:
        self._logs = logs
        self._cfg = cfg
        self._options = read_options(cfg, EvaluationOptions)
        self._model = model
        self._context = context

    def after_step(self) -> None:
        """Draw where the model is evaluated."""
        if at_evaluation(self.trainer, self._cfg.TEST.EVAL_PERIOD):
            paths = self.draw()
            for log in self._logs:
                log.log_pictures(paths, self.trainer.iter)

    def draw(self) -> list[Path]:
        """Predict and draw; returns the paths written."""
        name = self._cfg.DATASETS.TEST[0]
        dicts = add_proposals(self._cfg, DatasetCatalog.get(name), name, TEST)
        dicts = dicts[: self._options.num_pictures]
        mapper = TestMapper(self._cfg)
        model = unwrap(self._model)
        run = traced_inference(model)
        folder = Path(self._cfg.OUTPUT_DIR) / "pictures"
        with self._context(), inference_context(model), torch.no_grad():
            outputs = (self._certain(run([mapper(dict_)])[0]) for dict_ in dicts)
            return draw_pictures(model, dicts, outputs, folder)

    def _certain(self, output: dict[str, Any]) -> dict[str, Any]:
        found = output["instances"]
        return {**output, "instances": found[found.scores >= self._options.picture_score_thresh]}
