"""Average precision of each mask once for every class, as the public code of RSIS evaluates.

A model that scores every class of a mask loses average precision where only the best one counts:
a second class may be right at little cost, being scored low.
"""

from __future__ import annotations

from typing import Any

import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Instances

from recseg_d2.errors import UserError


class EveryClassEvaluator(DatasetEvaluator):
    """Hands an evaluator every mask once for each class, scored by ``class_scores``.

    Args:
        evaluator: of average precision by class.
    """

    def __init__(self, evaluator: DatasetEvaluator) -> None:
        self.evaluator = evaluator

    def reset(self) -> None:
        """Forget all predictions."""
        self.evaluator.reset()

    def process(self, inputs: list[dict[str, Any]], outputs: list[dict[str, Any]]) -> None:
        """Take a batch; the outputs are not changed.

        Args:
            inputs: dicts as the data loader yields them.
            outputs: the model's dicts, with "instances"; see ``of_every_class``.

        Raises:
            UserError: the model does not score every class.
        """
        each = [{**output, "instances": of_every_class(output["instances"])} for output in outputs]
        self.evaluator.process(inputs, each)

    def evaluate(self) -> Any:
        """The evaluator's scores."""
        return self.evaluator.evaluate()


def of_every_class(instances: Instances) -> Instances:
    """Each of K instances once for each of C classes, on the CPU.

    Args:
        instances: K of them, with "class_scores" (K, C).

    Raises:
        UserError: they have no "class_scores".
    """
    if not instances.has("class_scores"):
        raise UserError(
            "TEST.ALL_CLASSES is True, but the model gives its masks a score of one class alone; "
            "set it to False, or use a model that scores every class (ConvLSTMSemInstSeg)."
        )
    found = instances.to("cpu")
    count, classes = found.class_scores.shape
    every = found[torch.arange(count).repeat_interleave(classes)]
    every.scores = found.class_scores.flatten()
    every.pred_classes = torch.arange(classes).repeat(count)
    return every
