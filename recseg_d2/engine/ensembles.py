"""Several models that look at the same images as one predictor."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from detectron2.structures import Instances

from recseg_d2.engine.flips import merge_instances
from recseg_d2.engine.predictor import Predictor, batched
from recseg_d2.errors import UserError


class EnsemblePredictor:
    """Predict with each of several models, and merge the instances of each image.

    Args:
        predictors: one or more, of models of any kind with the same number of classes. Arrays are
            read as the first one reads them.

    Raises:
        UserError: the models have different numbers of classes.
    """

    ordered = False  # the best object comes first

    def __init__(self, predictors: Sequence[Predictor]) -> None:
        counts = [predictor.cfg.MODEL.NUM_CLASSES for predictor in predictors]
        if len(set(counts)) > 1:
            raise UserError(
                f"MODEL.NUM_CLASSES of an ensemble's models is {', '.join(map(str, counts))}; "
                "expected the same classes of all."
            )
        self.predictors = list(predictors)
        self.cfg, self.reader = predictors[0].cfg, predictors[0].reader

    def __call__(self, images: Iterable[str | Path | np.ndarray]) -> Iterator[Instances]:
        """As a call of ``Predictor``, which each model answers."""
        for batch in batched(images, self.predictors[0].batch_size):
            runs = [list(predictor(batch)) for predictor in self.predictors]
            yield from map(merge_instances, zip(*runs, strict=True))
