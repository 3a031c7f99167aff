"""Draws the same few validation images at every evaluation."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.engine import HookBase
from detectron2.evaluation import inference_context
from detectron2.structures import Instances
from torch import nn

from recseg_d2.data.proposals import TEST, ProposalTestMapper, add_proposals
from recseg_d2.engine.hooks import at_evaluation, unwrap
from recseg_d2.visualization.dataset import draw_dataset_attention, draw_dataset_predictions
from recseg_d2.visualization.dataset_proposals import draw_dataset_proposals


class SamplePictures(HookBase):
    """Writes pictures of the first TEST.NUM_PICTURES images of DATASETS.TEST.

    They go to OUTPUT_DIR/pictures, and replace those of the evaluation before.

    Args:
        cfg: of the run.
        model: to predict with.
        context: entered while predicting (a ``WeightAverage``'s ``applied``).
    """

    def __init__(
        self, cfg: CfgNode, model: nn.Module, context: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._cfg = cfg
        self._model = model
        self._context = context

    def after_step(self) -> None:
        """Draw where the model is evaluated."""
        if at_evaluation(self.trainer, self._cfg.TEST.EVAL_PERIOD):
            self.draw()

    def draw(self) -> list[Path]:
        """Predict and draw; returns the paths written."""
        name = self._cfg.DATASETS.TEST[0]
        dicts = add_proposals(self._cfg, DatasetCatalog.get(name), name, TEST)
        dicts = dicts[: self._cfg.TEST.NUM_PICTURES]
        mapper = ProposalTestMapper(self._cfg)
        inputs = [mapper(dict_) for dict_ in dicts]
        model = unwrap(self._model)
        folder = Path(self._cfg.OUTPUT_DIR) / "pictures"
        with self._context(), inference_context(model), torch.no_grad():
            predictions = [self._certain(model([x])[0]["instances"].to("cpu")) for x in inputs]
            workings = draw_dataset_attention(model, dicts, inputs, folder)
            workings += draw_dataset_proposals(model, dicts, inputs, folder)
        return draw_dataset_predictions(dicts, predictions, folder) + workings

    def _certain(self, instances: Instances) -> Instances:
        return instances[instances.scores >= self._cfg.TEST.PICTURE_SCORE_THRESH]
