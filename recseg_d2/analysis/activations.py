"""Order of discovery against the encoder's activations (RSIS, table 3b).

The objects of an image, as they were predicted, are sorted by how active the encoder is in them,
level by level, with the weights of after and of before the training; the order of discovery is that
of the trained model both times. The paper does not say how an object's activation is measured: here
it is the mean over the channels, averaged over the object's pixels.

Shape letters: K objects, C channels, H W the image, h w a level's resolution.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn
from tqdm import tqdm

from recseg_d2 import rle
from recseg_d2.analysis.ordering import tau_series
from recseg_d2.analysis.predictions import AnalysisInput, RunPredictions
from recseg_d2.analysis.result import AnalysisResult, Table, by_run
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.engine.predictor import Predictor
from recseg_d2.engine.weight_files import SafeCheckpointer
from recseg_d2.engine.weights import check_weights_file
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.metrics.ordering import TauSums
from recseg_d2.visualization.plots import grouped_bars

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AFTER, BEFORE = "after", "before"


def analyse(data: AnalysisInput) -> AnalysisResult:
    """Order of discovery against the encoder's activations: Kendall's tau by level.

    Raises:
        MissingResultsError: no model finds one object after another, or one has no encoder whose
            features stay the same from step to step, or its weights or data are not there.
        UserError: weights do not fit, or an image cannot be read.
    """
    rows, notes = data.tabulate(level_rows)
    origins = dict.fromkeys((row["run"], row.pop("before")) for row in rows)
    notes += [f"{run}: weights before training are {origin}." for run, origin in origins]
    return AnalysisResult({"activations": rows}, {"activations": partial(draw_levels, rows)}, notes)


def before_and_after(predictions: RunPredictions) -> tuple[CfgNode, CfgNode]:
    """Configs with the weights that training ended with, and with those that it began with.

    Raises:
        MissingResultsError: the run has no config or no weights.
    """
    run = predictions.run
    trained = run.config()
    first = trained.clone()
    # the config of an evaluation alone names the trained weights, not what training began with
    began_with = trained.MODEL.WEIGHTS if run.was_trained_here() else ""
    first.MODEL.WEIGHTS = predictions.options.before or began_with
    trained.MODEL.WEIGHTS = str(run.weights())
    return trained, first


def level_rows(predictions: RunPredictions) -> Table:
    """A row for each level and each of before and after, with the origin of the weights before.

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
    rows = []
    for when, of_model in sums.items():
        for row in of_model.rows():
            name = row.pop("sorting")
            level = {"level": f"f{list(strides).index(name)}", "feature": name}
            of_level = {**level, "stride": strides[name], "weights": when, **row}
            rows.append({**of_level, "before": origin})
    return sorted(rows, key=lambda row: row["level"])


def activation_sums(
    predictions: RunPredictions, predictor: Predictor, models: dict[str, nn.Module]
) -> dict[str, TauSums]:
    """Kendall's tau over the images of a run, for each of several models.

    Args:
        predictions: of a run; they give the objects of each image and their order.
        predictor: makes a model's input of an image.
        models: models with an encoder, by name; all see an image as the predictor prepares it.
    """
    sums = {when: TauSums() for when in models}
    images = list(zip(predictions.found, predictions.records, strict=True))
    for found, record in tqdm(images, desc="activations", unit="image", disable=None):
        # one object has no order, so the image need not be run
        if len(found.classes) < 2:
            continue
        image = predictor.model_input(record["file_name"])
        for when, model in models.items():
            features = encoder_features(model, image)
            # in double precision: objects differ in the last digits of their means
            activity = {name: f.double().mean(dim=0) for name, f in features.items()}
            values: dict[str, list[float]] = {name: [] for name in activity}
            for mask in map(rle.decode, found.masks):
                for name, level in activity.items():
                    values[name].append(object_activation(level, torch.from_numpy(mask)))
            sums[when].update({name: np.array(v) for name, v in values.items()})
    return sums


def initial_model(cfg: CfgNode) -> nn.Module:
    """The model as training began: the first weights of its seed, then MODEL.WEIGHTS if named.

    Raises:
        UserError: MODEL.WEIGHTS is no checkpoint.
    """
    if cfg.SEED >= 0:
        # as the trainer does before it builds a model: the same first weights
        torch.manual_seed(cfg.SEED)
    model = build_model(cfg)
    if cfg.MODEL.WEIGHTS:
        check_weights_file(cfg.MODEL.WEIGHTS)
        SafeCheckpointer(model).load(cfg.MODEL.WEIGHTS)
    return model.eval()


def level_strides(model: nn.Module) -> dict[str, int]:
    """Stride of each level of the encoder by its name, the deepest (the paper's f0) first.

    Raises:
        MissingResultsError: the model has no encoder that is run once an image.
    """
    backbone = getattr(model, "backbone", None)
    if not isinstance(model, SequentialModel) or backbone is None:
        raise MissingResultsError(
            f"{type(model).__name__} has no encoder whose features stay the same from step to "
            "step, so there is nothing to correlate the order of discovery with."
        )
    strides = {name: int(shape.stride or 1) for name, shape in backbone.output_shape().items()}
    return dict(sorted(strides.items(), key=lambda item: -item[1]))


@torch.no_grad()
def encoder_features(model: nn.Module, image: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """(C, h, w) features of an image by level, the deepest first; raises as ``level_strides``."""
    names = level_strides(model)
    assert isinstance(model, SequentialModel)
    features = model.backbone(model.images([image]))  # type: ignore[operator]
    return {name: features[name][0].float().cpu() for name in names}


def object_activation(activity: torch.Tensor, mask: torch.Tensor) -> float:
    """How active a level is in an object.

    The mask is brought to the level's resolution by area, so that small objects keep their weight.

    Args:
        activity: (h, w) float64, mean over the level's channels.
        mask: (H, W) 0 or 1, with a pixel or more.

    Returns:
        The mean over the object's pixels.
    """
    share = F.interpolate(mask.double()[None, None], size=activity.shape, mode="area")[0, 0]
    return float((share * activity).sum() / share.sum())


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
