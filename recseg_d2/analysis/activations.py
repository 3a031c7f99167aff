"""Order of discovery against the encoder's activations (RSIS, table 3b).

The objects of an image, as they were predicted, are sorted by how active the encoder is in them,
level by level, with the weights of after and of before the training; the order of discovery is that
of the trained model both times. The paper does not say how an object's activation is measured: here
it is the mean over the channels, averaged over the object's pixels.

Shape letters: K objects, C channels, H W the image, h w a level's resolution.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from pycocotools import mask as mask_util
from torch import nn
from tqdm import tqdm

from recseg_d2.analysis.report import Report, Table, grouped_bars
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.analysis.subjects import Subject, check_order, of_each
from recseg_d2.config.device import resolve_device
from recseg_d2.engine.predictor import Predictor
from recseg_d2.engine.weights import check_weights_file, readable
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.metrics.ordering import TauSums

if TYPE_CHECKING:
    from matplotlib.figure import Figure

AFTER, BEFORE = "after", "before"


def analyse(subjects: Sequence[Subject]) -> Report:
    """Kendall's tau by level of the encoder, before and after training.

    Raises:
        MissingResultsError: no model finds one object after another, or one has no encoder whose
            features stay the same from step to step, or its weights or data are not there.
        UserError: weights do not fit, or an image cannot be read.
    """
    found, notes = of_each(subjects, level_rows)
    rows = [row for _, (of_subject, _) in found for row in of_subject]
    notes += [f"{s.label}: weights before training are {origin}." for s, (_, origin) in found]
    return Report({"activations": rows}, {"activations": partial(draw_levels, rows)}, notes)


def before_and_after(subject: Subject) -> tuple[CfgNode, CfgNode]:
    """Configs with the weights that training ended with, and with those that it began with.

    Raises:
        MissingResultsError: the run has no config or no weights.
    """
    trained = subject.run.config()
    first = trained.clone()
    # the config of an evaluation alone names the trained weights, not what training began with
    began_with = trained.MODEL.WEIGHTS if subject.run.was_trained_here() else ""
    first.MODEL.WEIGHTS = subject.options.before or began_with
    trained.MODEL.WEIGHTS = str(subject.run.weights())
    trained.MODEL.DEVICE = first.MODEL.DEVICE = resolve_device(trained)
    return trained, first


def level_rows(subject: Subject) -> tuple[Table, str]:
    """A row for each level and each of before and after; and what the weights before were.

    Raises:
        MissingResultsError: there is no order of discovery, no such encoder, or something of the
            run is not there.
    """
    check_order(subject, least_objects=2)
    trained, first = before_and_after(subject)
    predictor = Predictor(trained)
    strides = level_strides(predictor.model)
    models = {BEFORE: initial_model(first), AFTER: predictor.model}
    sums = activation_sums(subject, predictor, models)
    rows = []
    for when, of_model in sums.items():
        for row in of_model.rows():
            name = row.pop("sorting")
            level = {"level": f"f{list(strides).index(name)}", "feature": name}
            place = {"run": subject.label, **level, "stride": strides[name], "weights": when}
            rows.append({**place, **row})
    origin = first.MODEL.WEIGHTS or f"random ones of the seed {first.SEED}"
    return sorted(rows, key=lambda row: row["level"]), origin


def activation_sums(
    subject: Subject, predictor: Predictor, models: dict[str, nn.Module]
) -> dict[str, TauSums]:
    """Kendall's tau over the images of a subject, for each of several models.

    Args:
        subject: its predictions give the objects and their order.
        predictor: reads the images.
        models: each with an encoder; all see the images as the predictor's does.
    """
    sums = {when: TauSums() for when in models}
    images = zip(subject.found, subject.records, strict=True)
    shown = tqdm(images, total=len(subject.found), desc="activations", unit="image", disable=None)
    for found, record in shown:
        if len(found.classes) < 2:
            continue
        masks = torch.from_numpy(np.stack([mask_util.decode(mask) for mask in found.masks]))
        image = predictor.model_input(record["file_name"])
        for when, model in models.items():
            features = encoder_features(model, image)
            values = {name: object_activations(f, masks) for name, f in features.items()}
            sums[when].update(values)
    return sums


def initial_model(cfg: CfgNode) -> nn.Module:
    """The model as training began: the first weights of its seed, then MODEL.WEIGHTS if named.

    Raises:
        UserError: MODEL.WEIGHTS is no checkpoint.
    """
    if cfg.SEED >= 0:
        torch.manual_seed(cfg.SEED)
    model = build_model(cfg)
    if cfg.MODEL.WEIGHTS:
        check_weights_file(cfg.MODEL.WEIGHTS)
        with readable(cfg.MODEL.WEIGHTS):
            DetectionCheckpointer(model).load(cfg.MODEL.WEIGHTS)
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


def object_activations(features: torch.Tensor, masks: torch.Tensor) -> np.ndarray:
    """How active a level is in each object.

    A mask is brought to the level's resolution by area, so that small objects keep their weight.

    Args:
        features: (C, h, w) float.
        masks: (K, H, W) 0 or 1, each with a pixel or more.

    Returns:
        (K,) float64, mean over channels and over the object's pixels.
    """
    activity = features.double().mean(dim=0)
    size = (activity.shape[0], activity.shape[1])
    shares = F.interpolate(masks.double()[None], size=size, mode="area")[0]
    return ((shares * activity).sum(dim=(1, 2)) / shares.sum(dim=(1, 2))).numpy()


def draw_levels(rows: Table, figure: Figure) -> None:
    """Bars of tau with the standard error over images, a plot for each run."""
    runs = list(dict.fromkeys(row["run"] for row in rows))
    figure.set_size_inches(6 * len(runs), 4)
    for axes, run in zip(
        figure.subplots(1, len(runs), squeeze=False, sharey=True)[0], runs, strict=True
    ):
        of_run = [row for row in rows if row["run"] == run]
        levels = list(dict.fromkeys((row["level"], row["stride"]) for row in of_run))
        by_weights = {w: [r for r in of_run if r["weights"] == w] for w in (BEFORE, AFTER)}
        grouped_bars(
            axes,
            [f"{level}\nstride {stride}" for level, stride in levels],
            {w: [row["tau"] for row in part] for w, part in by_weights.items()},
            {
                w: [row["std"] / row["images"] ** 0.5 for row in part]
                for w, part in by_weights.items()
            },
        )
        axes.set_title(f"{run}: order of discovery, most active first")
        axes.set_ylabel("Kendall's tau, mean over images")
