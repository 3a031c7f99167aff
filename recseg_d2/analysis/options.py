"""What a user may choose of the analyses; the tools make their options from it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from recseg_d2.errors import UserError
from recseg_d2.metrics import DEFAULT_METRICS, METRICS, select_metrics
from recseg_d2.metrics.error_diagnosis import MATCH_IOU

PAPER_MIN_PAIRS = 20  # Salvador et al. 2017, figure 5


def option(default: Any, meaning: str, metavar: str = "X") -> Any:
    """A field that the tools have an option for; its name with dashes is the option's."""
    return field(default=default, metadata={"help": meaning, "metavar": metavar})


@dataclass(frozen=True)
class AnalysisOptions:
    """What a user may choose, in words that the tools' --help has too.

    Raises:
        UserError: a number is out of its range, or a metric is unknown.
    """

    iou_thresh: float = option(MATCH_IOU, "IoU from which an object counts as found")
    min_score: float = option(0.0, "leave out predictions that score below")
    class_agnostic: bool = option(False, "take all objects to be of one class")
    min_pairs: int = option(
        PAPER_MIN_PAIRS, "ordering: leave out category pairs that follow each other less often", "N"
    )
    min_found: int = option(3, "sequences: leave out images with fewer found objects", "N")
    examples: int = option(4, "sequences: images shown for each strategy", "N")
    before: str = option(
        "", "activations: weights of before training, instead of those it began with", "FILE"
    )
    metrics: tuple[str, ...] = option(
        DEFAULT_METRICS, f"scores: any of {', '.join(METRICS)}; see recseg evaluate", "NAME"
    )
    keys: tuple[str, ...] = option(
        (), "curves: keys of metrics.json, instead of all losses and scores", "NAME"
    )
    dataset: str = ""  # of predictions that name none that is known, as those of single images

    def __post_init__(self) -> None:
        ranges = {
            "iou_thresh": (0 < self.iou_thresh <= 1, "more than 0, 1 at most"),
            "min_score": (0 <= self.min_score <= 1, "0 to 1"),
            "min_pairs": (self.min_pairs >= 1, "1 or more"),
            "min_found": (self.min_found >= 2, "2 or more"),
            "examples": (self.examples >= 1, "1 or more"),
        }
        for name, (fits, expected) in ranges.items():
            if not fits:
                flag = "--" + name.replace("_", "-")
                raise UserError(f"{flag} is {getattr(self, name)}; expected {expected}.")
        select_metrics(self.metrics)
