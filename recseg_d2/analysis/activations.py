"""Order of discovery against the encoder's activations (RSIS, table 3b and figure 6).

The objects of an image, as they were predicted, are sorted by how active the encoder is in them,
level by level, with the weights of after and of before the training; the order of discovery is that
of the trained model both times. Of each image the most and the least active object are kept too:
where they are, how large, and how early they were found.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from recseg_d2 import rle
from recseg_d2.analysis.active_objects import ActiveObjects, Places, covered, draw_places
from recseg_d2.analysis.encoders import (
    before_and_after,
    encoder_features,
    initial_model,
    level_strides,
    object_activation,
)
from recseg_d2.analysis.ordering import tau_series
from recseg_d2.analysis.predictions import AnalysisInput, RunPredictions
from recseg_d2.analysis.result import AnalysisResult, Row, Table, by_run
from recseg_d2.analysis.run_folder import of_each
from recseg_d2.engine.predictor import Predictor
from recseg_d2.metrics.ordering import TauSums
from recseg_d2.visualization.plots import grouped_bars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BEFORE, AFTER = "before", "after"


@dataclass(frozen=True)
class EncoderSums:
    """Sums over images for one state of an encoder, by the name of its level.

    Attributes:
        tau: Kendall's tau of the order of discovery against the activations.
        active: the most and the least active object.
    """

    tau: TauSums = field(default_factory=TauSums)
    active: ActiveObjects = field(default_factory=ActiveObjects)


@dataclass(frozen=True)
class RunActivations:
    """What the encoder of a run shows.

    Attributes:
        strides: stride of each level by its name, the deepest (the paper's f0) first.
        sums: of the encoder ``BEFORE`` and ``AFTER`` training.
        origin: where the weights of before training come from, in words.
    """

    strides: dict[str, int]
    sums: dict[str, EncoderSums]
    origin: str

    def tau_rows(self) -> Table:
        """A row for each level, with the weights of before and of after."""
        return self._by_level((w, row) for w, sums in self.sums.items() for row in sums.tau.rows())

    def active_rows(self) -> Table:
        """Two rows for each of ``tau_rows``: of the most and of the least active objects."""
        sums = self.sums.items()
        return self._by_level((w, row) for w, of_w in sums for row in of_w.active.rows())

    def places(self) -> Places:
        """Where the objects are, by the level that correlates most after training."""
        rows = self.sums[AFTER].tau.rows()
        level = max(rows, key=lambda row: row["tau"])["sorting"]
        maps = {weights: sums.active.maps(level) for weights, sums in self.sums.items()}
        return Places(f"level {self._number(level)}", maps, self.sums[AFTER].active.aspect(level))

    def _by_level(self, rows: Iterable[tuple[str, Row]]) -> Table:
        table = []
        for weights, row in rows:
            name = row.pop("sorting")
            level = {"level": self._number(name), "feature": name, "stride": self.strides[name]}
            table.append({**level, "weights": weights, **row})
        return sorted(table, key=lambda row: row["level"])

    def _number(self, level: str) -> str:
        return f"f{list(self.strides).index(level)}"


def analyse(data: AnalysisInput) -> AnalysisResult:
    """Order of discovery against the encoder's activations, and its most and least active objects.

    Raises:
        MissingResultsError: no model finds one object after another, or one has no encoder whose
            features stay the same from step to step, or its weights or data are not there.
        UserError: weights do not fit, or an image cannot be read.
    """
    predictions, notes = data.saved
    found, missing = of_each(predictions, run_activations)
    runs = {of_run.label: activations for of_run, activations in found}
    tau = [{"run": run, **row} for run, a in runs.items() for row in a.tau_rows()]
    active = [{"run": run, **row} for run, a in runs.items() for row in a.active_rows()]
    origins = [f"{run}: weights before training are {a.origin}." for run, a in runs.items()]
    return AnalysisResult(
        tables={"activations": tau, "active_objects": active},
        plots={
            "activations": partial(draw_levels, tau),
            "active_objects": partial(draw_places, {run: a.places() for run, a in runs.items()}),
        },
        notes=[*notes, *missing, *origins],
    )


def run_activations(predictions: RunPredictions) -> RunActivations:
    """Sums over the images of a run, with the weights of before and of after its training.

    Raises:
        MissingResultsError: there is no order of discovery, no such encoder, or something of the
            run is not there.
    """
    predictions.check_order(least_objects=2)
    trained, first = before_and_after(predictions)
    predictor = Predictor(trained)
    strides = level_strides(predictor.model)
    # both see each image once: decoding the masks takes longest
    models = {BEFORE: initial_model(first), AFTER: predictor.model}
    sums = activation_sums(predictions, predictor, models)
    origin = first.MODEL.WEIGHTS or f"random ones of the seed {first.SEED}"
    return RunActivations(strides, sums, origin)


def activation_sums(
    predictions: RunPredictions, predictor: Predictor, models: dict[str, nn.Module]
) -> dict[str, EncoderSums]:
    """Sums over the images of a run, for each of several models.

    Args:
        predictions: of a run; they give the objects of each image and their order.
        predictor: makes a model's input of an image.
        models: models with an encoder, by name; all see an image as the predictor prepares it.
    """
    sums = {when: EncoderSums() for when in models}
    images = list(zip(predictions.found, predictions.records, strict=True))
    for found, record in tqdm(images, desc="activations", unit="image", disable=None):
        # one object has no order, so the image need not be run
        if len(found.masks) < 2:
            continue
        image = predictor.model_input(record["file_name"])
        masks = [torch.from_numpy(rle.decode(mask)) for mask in found.masks]
        places = covered(masks)
        for when, model in models.items():
            values = {
                # in double precision: objects differ in the last digits of their means
                name: np.array([object_activation(level.double().mean(dim=0), m) for m in masks])
                for name, level in encoder_features(model, image).items()
            }
            sums[when].tau.update(values)
            sums[when].active.update(values, found, places)
    return sums


def draw_levels(rows: Table, figure: Figure) -> None:
    """Bars of tau with the standard error over images, a plot for each run."""
    tables = by_run(rows)
    figure.set_size_inches(6 * len(tables), 4)
    grid = figure.subplots(1, len(tables), squeeze=False, sharey=True)[0]
    for axes, (run, of_run) in zip(grid, tables.items(), strict=True):
        levels = dict.fromkeys(f"{row['level']}\nstride {row['stride']}" for row in of_run)
        by_weights = {w: [r for r in of_run if r["weights"] == w] for w in (BEFORE, AFTER)}
        grouped_bars(axes, list(levels), *tau_series(by_weights))
        axes.set_title(f"{run}: order of discovery, most active first")
        axes.set_ylabel("Kendall's tau, mean over images")
