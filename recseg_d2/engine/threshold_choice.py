"""The least score of an object, chosen on training images when training has ended.

How often a model is right where it is unsure depends on the data: where annotators left objects
out, unsure ones are better left out, too. No validation image plays a part.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.data import get_detection_dataset_dicts
from detectron2.engine import HookBase
from detectron2.evaluation import inference_context
from detectron2.utils import comm
from torch import nn

from recseg_d2.config import read_options
from recseg_d2.config.options import EvaluationOptions
from recseg_d2.data.mapper import TestMapper
from recseg_d2.engine.hooks import is_done, unwrap
from recseg_d2.engine.thresholds import score_thresh
from recseg_d2.evaluation.ground_truth import compared_labels
from recseg_d2.metrics.dice import symmetric_best_dice
from recseg_d2.metrics.overlap import count_overlap
from recseg_d2.postprocess import label_map_of

logger = logging.getLogger(__name__)

CANDIDATES = (0.3, 0.4, 0.5, 0.6, 0.7)
_MOST_PIXELS = 2**24  # of all images together, whatever their number


class ChooseScoreThresh(HookBase):
    """Chooses the model's least score by SBD - |DiC| after the last iteration.

    The config's own value stays unless another is better by more than the standard error of the
    difference over the images. It has to come after a ``WeightAverage`` and before the hooks that
    evaluate.

    Args:
        cfg: of the run. TEST.THRESHOLD_IMAGES is the number of images, drawn by SEED, of which no
            more are taken than have 2^24 pixels together.
        model: a ``MetaArchitecture`` with a ``score_key``; may be in a distributed wrapper.
        keep: called in every process with another value than the config's, where that is better.

    Raises:
        UserError: the model has no such score.
    """

    def __init__(self, cfg: CfgNode, model: nn.Module, keep: Callable[[float], None]) -> None:
        self._cfg, self._keep = cfg, keep
        self._model: Any = unwrap(model)
        self._own = score_thresh(cfg)

    def after_train(self) -> None:
        """Choose, unless training broke off."""
        if not is_done(self.trainer):
            return
        candidates = sorted({self._own, *CANDIDATES})
        values = self._values(candidates)
        chosen = choose(candidates, values, self._own)
        self._model.set_score_thresh(chosen)
        means = zip(candidates, values.mean(axis=0), strict=True)
        logger.info(
            "Least score of an object: %g, by SBD - |DiC| on %d training images (%s).",
            chosen, len(values), ", ".join(f"{c:g}: {m:.1f}" for c, m in means),
        )  # fmt: skip
        if chosen != self._own:
            self._keep(chosen)

    def _values(self, candidates: Sequence[float]) -> np.ndarray:
        """(images, candidates), SBD - |DiC| of each, the same in every process."""
        records = self._records()
        rank, processes = comm.get_rank(), comm.get_world_size()
        mapper = TestMapper(self._cfg)
        own = {}
        with inference_context(self._model), torch.no_grad():
            for index in range(rank, len(records), processes):
                record, given = records[index], mapper(records[index])
                found = (self._found(given, least) for least in candidates)
                own[index] = [value(*compared_labels(record, labels)) for labels in found]
        rows = {index: row for part in comm.all_gather(own) for index, row in part.items()}
        return np.array([rows[index] for index in range(len(records))])

    def _found(self, given: dict[str, Any], least: float) -> np.ndarray:
        self._model.set_score_thresh(least)
        return label_map_of(self._model([given])[0]["instances"].to("cpu"))

    def _records(self) -> list[dict[str, Any]]:
        """The images to look at, at least one."""
        cfg, count = self._cfg, read_options(self._cfg, EvaluationOptions).threshold_images
        filters = cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS
        records = get_detection_dataset_dicts(list(cfg.DATASETS.TRAIN), filter_empty=filters)
        order = np.random.default_rng(max(cfg.SEED, 0)).permutation(len(records))[:count]
        pixels = np.cumsum([records[k]["height"] * records[k]["width"] for k in order])
        fit = max(1, int((pixels <= _MOST_PIXELS).sum()))
        return [records[k] for k in order[:fit]]


def value(found: np.ndarray, truth: np.ndarray) -> float:
    """SBD (0 to 100) - |DiC| of a label map; 100 where neither has an object."""
    table = count_overlap(found, truth)
    return 100 * symmetric_best_dice(table, both_empty=1.0) - abs(table.num_a - table.num_b)


def choose(candidates: Sequence[float], values: np.ndarray, own: float) -> float:
    """The candidate with the best mean, or one's own where that is about as good.

    Args:
        candidates: K of them, ``own`` among them; of equal ones the first wins.
        values: (images, K), the greater the better.
        own: what stays unless the best is better by more than the standard error of the mean
            difference, which is taken to be 0 of a single image.
    """
    best = int(values.mean(axis=0).argmax())
    gain = values[:, best] - values[:, list(candidates).index(own)]
    error = gain.std(ddof=1) / np.sqrt(len(gain)) if len(gain) > 1 else 0.0
    return candidates[best] if gain.mean() > error else own
