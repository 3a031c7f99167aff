"""What models cost as steps, images and objects become more."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from detectron2.modeling import build_model

from benchmarks.configs import benchmark_config
from benchmarks.growing.curve import Series, Timing, line
from benchmarks.growing.scenes import disc_input, disc_labels, side_for
from benchmarks.models import MODES, Subject, TimedCall, Update, build_step
from recseg_d2 import model_zoo
from recseg_d2.engine.solver import build_optimizer
from recseg_d2.engine.weights import load_weights
from recseg_d2.errors import UserError
from recseg_d2.layers.matching import assign, soft_iou_matrix
from recseg_d2.metrics import METRICS, score_image

SEQUENTIAL = {"RIS": "ris_synthetic.yaml", "RSIS": "rsis_synthetic.yaml"}
PROPOSALS = "instancefcn_synthetic.yaml"
DENSE = "dense_small.yaml"
SEARCHED = "nuclei"  # of the model zoo: finds the discs
FEW_OBJECTS = 9  # in images of all sizes
_MATCHED_SIDE = 96  # pixels a side of the masks that are matched
_FOUND = 0.9  # least share of the discs that the model has to find


def step_series(steps: Sequence[int], timing: Timing, opts: Sequence[str]) -> list[Series]:
    """Of the models that find an object a step: one image, an object fewer than steps."""
    return [
        line("steps", f"{name} {mode}", steps, partial(_stepped, file, mode, tuple(opts)), timing)
        for name, file in SEQUENTIAL.items()
        for mode in MODES
    ]


def size_series(
    sides: Sequence[int], training_sides: Sequence[int], timing: Timing, opts: Sequence[str]
) -> list[Series]:
    """Of all models, by the pixels of one image; steps and objects stay as many."""
    makers: dict[str, Callable[..., TimedCall]] = {
        **{name: partial(_sized, file) for name, file in SEQUENTIAL.items()},
        "InstanceFCN": partial(_sized, PROPOSALS),
        "Dense": _dense_sized,
    }
    chosen = {"inference": sides, "training": training_sides}
    pixels = {mode: [side**2 for side in own] for mode, own in chosen.items()}
    return [
        line("size", f"{name} {mode}", pixels[mode], partial(make, mode, tuple(opts)), timing)
        for mode in MODES
        for name, make in makers.items()
    ]


def object_series(objects: Sequence[int], timing: Timing, opts: Sequence[str]) -> list[Series]:
    """Of all that looks at objects, by their number in one image that is as large for all."""
    side = side_for(max(objects))
    makers: dict[str, Callable[[int], TimedCall]] = {
        "Dense inference": partial(dense_search, side, tuple(opts)),
        "Dense training": partial(dense_training, side, tuple(opts)),
        "matching": _matching,
        "metrics of label maps": partial(_scoring, side),
    }
    return [line("objects", name, objects, make, timing) for name, make in makers.items()]


def model_call(file: str, mode: str, opts: Sequence[str]) -> TimedCall:
    """A call of a config's model on one image of noise, see ``models.build_step``."""
    cfg = benchmark_config(file, opts)
    return build_step(Subject(cfg, mode, 1, literal=False, threads=1))[1]


def _stepped(file: str, mode: str, opts: Sequence[str], steps: int) -> TimedCall:
    return model_call(file, mode, [*opts, "MODEL.SEQUENTIAL.STEPS", str(steps)])


def _sized(file: str, mode: str, opts: Sequence[str], pixels: int) -> TimedCall:
    """A call on a square image; InstanceFCN's inference has its scale and half of it."""
    side = math.isqrt(pixels)
    sizes = ["MODEL.SEQUENTIAL.IMAGE_SIZE", f"({side}, {side})"]
    sizes += ["MODEL.INSTANCE_FCN.TEST.SCALES", f"({side // 2}, {side})"]
    return model_call(file, mode, [*opts, *sizes])


def _dense_sized(mode: str, opts: Sequence[str], pixels: int) -> TimedCall:
    make = dense_search if mode == "inference" else dense_training
    return make(math.isqrt(pixels), opts, FEW_OBJECTS)


def dense_search(side: int, opts: Sequence[str], objects: int) -> TimedCall:
    """A search by a trained model, which ends when it has found the discs.

    With random weights it would end at once, or never.
    """
    cfg = model_zoo.get_config(SEARCHED, trained=True, opts=tuple(opts))
    model = build_model(cfg).eval()
    load_weights(model, cfg.MODEL.WEIGHTS)
    batch = [disc_input(side, objects)]

    def search() -> None:
        found = len(model(batch)[0]["instances"])
        if not _FOUND * objects <= found <= objects / _FOUND:
            raise UserError(
                f"recseg://{SEARCHED} found {found} objects in an image of {side}x{side} pixels "
                f"with {objects} discs; expected about as many, as its looks are what is measured."
            )

    return torch.inference_mode()(search)


def dense_training(side: int, opts: Sequence[str], objects: int) -> TimedCall:
    """A step of training on an image of discs."""
    cfg = benchmark_config(DENSE, opts)
    torch.manual_seed(0)
    model = build_model(cfg).train()
    return Update(model, build_optimizer(cfg, model), [disc_input(side, objects)])


def _matching(objects: int) -> TimedCall:
    """As many predictions as objects: IoU of all pairs of masks, then the best assignment."""
    generator = torch.Generator().manual_seed(0)
    size = (1, objects, _MATCHED_SIDE, _MATCHED_SIDE)
    predicted, true = (torch.rand(size, generator=generator) for _ in range(2))
    masks, counts = true > 0.5, torch.tensor([objects])
    return lambda: assign(soft_iou_matrix(predicted, masks), counts)


def _scoring(side: int, objects: int) -> TimedCall:
    """All metrics of two label maps, of which one is the other moved by a pixel."""
    labels = disc_labels(side, objects)
    moved = np.roll(labels, 1, axis=1)
    return lambda: score_image(moved, labels, METRICS)
