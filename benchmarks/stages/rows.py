"""Where a model's time goes, stage by stage, beside its paper-literal version."""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from detectron2.config import CfgNode
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.batches import batch_image_size
from benchmarks.data import made_images, reading
from benchmarks.machine import GIGA, matrix_gflops
from benchmarks.measuring import THEIRS, MeasureOptions, peak_mebibytes, versions_of
from benchmarks.models import (
    PATIENCE,
    Subject,
    TimedCall,
    build_step,
    in_turn,
    synchronize,
)
from benchmarks.stages.clock import StageClock
from benchmarks.stages.places import DATA, REST, STAGES, places

WHOLE = "all"
SHARED = {DATA, REST}  # what is not compared: the literal versions' are the same, or anything
MILLISECONDS = 1000.0
Row = dict[str, Any]
Spent = Mapping[str, float]  # by stage


@dataclass
class Version:
    """A version of a model with what one call of it needs.

    Attributes:
        subject: what it is a version of.
        model: the model.
        step: a function that does one step of the mode.
        load: a function that reads a batch.
    """

    subject: Subject
    model: nn.Module
    step: TimedCall
    load: TimedCall

    def seconds(self) -> Counter[str]:
        """Of one call, by stage."""
        device = torch.device(self.subject.cfg.MODEL.DEVICE)

        def now() -> float:
            synchronize(device)
            return time.perf_counter()

        return self._spent(now)

    def operations(self) -> Counter[str]:
        """Floating-point operations of one call, in billions, by stage."""
        with FlopCounterMode(display=False) as counter:
            return self._spent(lambda: counter.get_total_flops() / GIGA)

    def _spent(self, read: Callable[[], float]) -> Counter[str]:
        """What one call adds to a reading."""
        clock, cfg = StageClock(read), self.subject.cfg
        where = places(cfg.MODEL.META_ARCHITECTURE, self.subject.mode)
        with clock.at(where, model=self.model, step=self.step), clock.of(REST):
            with clock.of(DATA):
                self.load()
            self.step()
        return clock.spent


def stage_rows(name: str, cfg: CfgNode, mode: str, options: MeasureOptions) -> list[Row]:
    """A row for each stage of each version, and one for the whole.

    Args:
        name: of the config, in the rows.
        cfg: see ``Subject``; its data is not looked at, made images are read in its place.
        mode: see ``Subject``.
        options: how it is measured.
    """
    subjects = versions_of(cfg, mode, options)
    with made_images(max(batch_image_size(cfg))):
        versions = {
            version: Version(subject, *build_step(subject), reading(cfg, mode, subject.batch_size))
            for version, subject in subjects.items()
        }
        calls = {version: v.seconds for version, v in versions.items()}
        found = in_turn(calls, options.repeats, lambda spent: sum(spent.values()))
        seconds = {version: medians(results) for version, results in found.items()}
        quick = {version for version, spent in seconds.items() if sum(spent.values()) <= PATIENCE}
        operations = {version: versions[version].operations() for version in quick}
    versions.clear()  # their models' memory is not to be counted
    calls.clear()
    each = {version: _an_image(spent, subjects[version]) for version, spent in seconds.items()}
    labels = {"config": name, "precision": cfg.MODEL.PRECISION, "mode": mode}
    rows = []
    for version, subject in subjects.items():
        table = stage_table(each[version], each.get(THEIRS, {}))
        if version in operations:
            add_operations(table, _an_image(operations[version], subject), subject)
        table[-1]["peak MiB"] = peak_mebibytes(subject, sum(seconds[version].values()), options)
        rows += [{**labels, "version": version, **row} for row in table]
    return rows


def medians(results: Sequence[Spent]) -> Spent:
    """The median of each stage that any of the results has, in the order of ``STAGES``."""
    seen = {stage for spent in results for stage in spent}
    return {
        stage: statistics.median(spent.get(stage, 0.0) for spent in results)
        for stage in STAGES
        if stage in seen
    }


def _an_image(spent: Spent, subject: Subject) -> Spent:
    """The same of one image instead of a batch; and all of it."""
    each = {stage: value / subject.batch_size for stage, value in spent.items()}
    return {**each, WHOLE: sum(each.values())}


def stage_table(seconds: Spent, literal: Spent) -> list[Row]:
    """A row for each stage, the last for all of it.

    Args:
        seconds: of an image.
        literal: of an image in the paper-literal version; empty without one.
    """
    rows: list[Row] = [
        {
            "stage": stage,
            "ms an image": MILLISECONDS * value,
            "share %": 100 * value / seconds[WHOLE],
            "times literal": literal[stage] / value if stage in literal.keys() - SHARED else None,
        }
        for stage, value in seconds.items()
    ]
    rows[-1]["images/s"] = 1 / seconds[WHOLE]
    return rows


def add_operations(table: list[Row], operations: Spent, subject: Subject) -> None:
    """Put the billions of operations of an image, and the share of the peak, into its rows."""
    cfg = subject.cfg
    peak = matrix_gflops(torch.device(cfg.MODEL.DEVICE), subject.threads, cfg.MODEL.PRECISION)
    for row in table:
        row["GFLOP an image"] = operations[row["stage"]]
        rate = operations[row["stage"]] / row["ms an image"] * MILLISECONDS
        row["% of matrix peak"] = 100 * rate / peak
