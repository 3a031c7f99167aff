"""Predictions of flipped images, merged: TEST.FLIPS."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.structures import Instances
from torch import nn

from recseg_d2 import rle
from recseg_d2.config import read_options
from recseg_d2.config.options import EvaluationOptions
from recseg_d2.errors import UserError
from recseg_d2.meta_arch.base import make_instances
from recseg_d2.postprocess import masks_of
from recseg_d2.postprocess.ensembles import FoundObject, merge_runs
from recseg_d2.structures import LabelMapMasks

_AXES = {"vertical": 0, "horizontal": 1}  # of (H, W)

Axes = tuple[int, ...]


class FlippedViews(nn.Module):
    """A model that looks at each image as it is and flipped, and merges what it finds.

    "instances" are those that ``postprocess.ensembles`` keeps; all else of an output is that of the
    image as it is.

    Args:
        model: takes and gives Detectron2's dicts.
        flips: "horizontal", "vertical" or both, which is three flipped views.

    Raises:
        UserError: the model reads files that do not flip with the image.
    """

    def __init__(self, model: nn.Module, flips: Sequence[str]) -> None:
        super().__init__()
        if getattr(model, "semantic_folder", None) is not None:
            raise UserError("TEST.FLIPS cannot flip the files of MODEL.RIS.CLASS_SOURCE folder.")
        self.model, self.training = model, model.training
        axes = [_AXES[flip] for flip in flips]
        self._views = [v for n in range(1, len(axes) + 1) for v in combinations(axes, n)]

    def forward(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The outputs of a batch."""
        outputs = self.model(batched_inputs)
        runs = [[_found(output["instances"]) for output in outputs]]
        for axes in self._views:
            flipped = self.model([_flipped(dict_, axes) for dict_ in batched_inputs])
            runs.append([_found(output["instances"], axes) for output in flipped])
        return [
            {**output, "instances": _merged(output["instances"], of_image)}
            for output, *of_image in zip(outputs, *runs, strict=True)
        ]


def with_flips(model: nn.Module, cfg: CfgNode) -> nn.Module:
    """The model, with the flipped views that TEST.FLIPS asks for."""
    flips = read_options(cfg, EvaluationOptions).flips
    return FlippedViews(model, flips) if flips else model


def merge_instances(runs: Sequence[Instances]) -> Instances:
    """What several runs found in one image as one set, see ``postprocess.ensembles``."""
    return _merged(runs[0], [_found(run) for run in runs])


def _flipped(dict_: dict[str, Any], axes: Axes) -> dict[str, Any]:
    if "proposals" in dict_:
        raise UserError("TEST.FLIPS is for models that find objects themselves, without proposals.")
    return {**dict_, "image": dict_["image"].flip([axis + 1 for axis in axes])}


def _found(instances: Instances, axes: Axes = ()) -> list[FoundObject]:
    """The objects, flipped back."""
    found = instances.to("cpu")
    classes = found.pred_classes.tolist() if found.has("pred_classes") else [0] * len(found)
    return [
        FoundObject(rle.encode(np.flip(mask, axes)), score, kind)
        for mask, score, kind in zip(masks_of(found), found.scores.tolist(), classes, strict=True)
    ]


def _merged(like: Instances, runs: Sequence[Sequence[FoundObject]]) -> Instances:
    """The merged objects, with masks held and placed as those of ``like``."""
    device = like.pred_masks.device
    objects = merge_runs(runs)
    masks: torch.Tensor | LabelMapMasks
    if isinstance(like.pred_masks, LabelMapMasks):
        labels = np.zeros(like.image_size, np.int32)
        for number in range(len(objects), 0, -1):  # the better one lies over the others
            labels[rle.decode(objects[number - 1].mask) > 0] = number
        masks = LabelMapMasks(torch.from_numpy(labels), torch.arange(1, len(objects) + 1))
        kept = torch.nonzero(masks.areas() > 0)[:, 0]
        masks, objects = masks[kept], [objects[k] for k in kept.tolist()]
    else:
        masks = torch.zeros(len(objects), *like.image_size, dtype=torch.bool)
        for mask, found in zip(masks, objects, strict=True):
            mask[:] = torch.from_numpy(rle.decode(found.mask) > 0)
    scores = torch.tensor([found.score for found in objects], dtype=torch.float32)
    classes = torch.tensor([found.category for found in objects], dtype=torch.int64)
    return make_instances(masks.to(device), scores.to(device), classes.to(device))
