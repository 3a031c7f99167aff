"""A run's encoder before and after training, and how active it is in the objects of an image.

The paper of RSIS (section 4.5) does not say how an object's activation is measured: here it is the
mean over the channels, averaged over the object's pixels.

Shape letters: C channels, H W the image, h w a level's resolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn

from recseg_d2.analysis.predictions import RunPredictions
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.config import read_options
from recseg_d2.config.options import ModelOptions
from recseg_d2.engine.weights import check_weights_file, load_pretrained
from recseg_d2.meta_arch.sequential import SequentialModel


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


def initial_model(cfg: CfgNode) -> nn.Module:
    """The model as training began: the first weights of its seed, then MODEL.WEIGHTS if named.

    Raises:
        UserError: MODEL.WEIGHTS is no checkpoint, or not of this encoder.
    """
    if cfg.SEED >= 0:
        # as the trainer does before it builds a model: the same first weights
        torch.manual_seed(cfg.SEED)
    model = build_model(cfg)
    if cfg.MODEL.WEIGHTS:
        check_weights_file(cfg.MODEL.WEIGHTS)
        least = read_options(cfg, ModelOptions).weights_min_fraction
        load_pretrained(model, cfg.MODEL.WEIGHTS, least)
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
