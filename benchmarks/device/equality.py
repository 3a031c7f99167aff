"""Whether a device computes what the CPU does, and how often it is waited for."""

from __future__ import annotations

import copy
import warnings
from functools import partial

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model
from torch import nn

from benchmarks.batches import random_batch
from benchmarks.device.settings import (
    FAMILIES,
    SEQUENTIAL,
    Check,
    Row,
    Settings,
    each_model_and_mode,
    tensor_cores,
)
from benchmarks.host_reads import HostReads
from benchmarks.models import TimedCall
from recseg_d2.meta_arch.dense_attention_seg import DenseAttentionSeg
from recseg_d2.meta_arch.instance_fcn_proposal import InstanceFCNProposal
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.models.dense_attention.canvas import CANVAS_CHANNELS

TOLERANCE = 1e-4
# Of gradients, whose maxima and ReLUs may hang on the last bit and fall out otherwise in each run.
GRADIENT_TOLERANCE = 5e-3
_ROUNDING = 3  # or so many times what two algorithms of the CPU differ by, if that is more


def equal_checks(settings: Settings) -> dict[str, Check]:
    """Every model beside its copy on the CPU."""
    return {file: partial(_compare, settings, file) for file in FAMILIES}


def _compare(settings: Settings, file: str, seconds: float) -> Row:
    """The differences of outputs, losses and gradients, relative to their size."""
    cfg = settings.config(file, "MODEL.DEVICE", "cpu")
    torch.manual_seed(0)
    expected = build_model(cfg)
    found, other = copy.deepcopy(expected).to(settings.device), copy.deepcopy(expected)
    batch = random_batch(cfg, 2)
    with tensor_cores(False):
        differences = compare_models(found, expected, batch)
    with torch.backends.mkldnn.flags(enabled=False):
        _, rounded = losses_and_gradients(other.train(), batch)
    rounding = norm_difference(rounded, losses_and_gradients(expected, batch)[1])
    allowed = dict.fromkeys(differences, TOLERANCE)
    allowed["gradients"] = max(GRADIENT_TOLERANCE, _ROUNDING * rounding)
    wrong = [f"{n} by {v:.1e}" for n, v in differences.items() if not v <= allowed[n]]
    failed = {"failed": f"differ: {', '.join(wrong)}"} if wrong else {}
    return {**differences, "gradients_of_two_cpu_algorithms": rounding, **failed}


def compare_models(found: nn.Module, expected: nn.Module, batch: list[Row]) -> dict[str, float]:
    """Relative differences of two models of the same weights, by what differs."""
    outputs = [raw_outputs(model.eval(), batch) for model in (found, expected)]
    steps = [losses_and_gradients(model.train(), batch) for model in (found, expected)]
    return {
        "outputs": max(difference(a, b) for a, b in zip(*outputs, strict=True)),
        "losses": max(difference(a, b) for a, b in zip(*(s[0] for s in steps), strict=True)),
        "gradients": norm_difference(*(s[1] for s in steps)),
    }


def difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The greatest difference, as a share of the greatest value where that is above 1."""
    expected = expected.detach().double().cpu()
    apart = (found.detach().double().cpu() - expected).abs().max()
    return float(apart / expected.abs().max().clamp(min=1))


def norm_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    """The norm of the difference, as a share of the norm."""
    expected = expected.double()
    return float((found.double() - expected).norm() / expected.norm())


@torch.no_grad()
def raw_outputs(model: nn.Module, batch: list[Row]) -> list[torch.Tensor]:
    """What a model computes of images before anything is cut at a threshold."""
    if isinstance(model, SequentialModel):
        sequence = model.run_sequence(model.images(batch), model.steps)
        return [sequence.mask_logits.sigmoid(), sequence.score_logits.sigmoid()]
    if isinstance(model, InstanceFCNProposal):
        images = torch.stack([model.normalised(model.unit_image(x)) for x in batch])
        maps = model.network(images)
        return [maps.mask_maps, maps.objectness]
    assert isinstance(model, DenseAttentionSeg)
    images = torch.stack([model.model_image(x) for x in batch])
    encoding = model.network.encode(images)
    canvas = images.new_zeros(len(images), CANVAS_CHANNELS, *images.shape[2:])
    return [model.network.heat(encoding.heat, canvas).sigmoid(), encoding.boxes]


def losses_and_gradients(
    model: nn.Module, batch: list[Row]
) -> tuple[list[torch.Tensor], torch.Tensor]:
    """The losses of a batch, and all gradients in a row."""
    torch.manual_seed(0)  # models draw windows and canvases on the CPU
    model.zero_grad()
    losses = model(batch)
    sum(losses.values()).backward()
    gradients = [p.grad.flatten().cpu() for p in model.parameters() if p.grad is not None]
    return [losses[name] for name in sorted(losses)], torch.cat(gradients)


def wait_checks(settings: Settings) -> dict[str, Check]:
    """How often the host waits."""
    return each_model_and_mode(_waits, settings)


def _waits(settings: Settings, file: str, mode: str, seconds: float) -> Row:
    """In a step of all models; of sequential ones also for each object more."""
    steps = settings.config(file).MODEL.SEQUENTIAL.STEPS
    few = count_waits(settings, settings.config(file), mode)
    if file not in SEQUENTIAL:
        return {"waits": few}
    more = settings.config(file, "MODEL.SEQUENTIAL.STEPS", str(2 * steps))
    return {"waits": few, "waits_a_step": (count_waits(settings, more, mode) - few) / steps}


def count_waits(settings: Settings, cfg: CfgNode, mode: str) -> int:
    """By CUDA's own count; without CUDA by ``HostReads``, transfers of inputs included."""
    torch.manual_seed(0)
    model = build_model(cfg).train(mode == "training")
    batch = random_batch(cfg, 2)
    with torch.set_grad_enabled(mode == "training"):
        model(batch)
        if settings.device.type != "cuda":
            with HostReads() as found:
                model(batch)
            return found.reads.total() + found.uploads.total()
        return _cuda_waits(partial(model, batch))


def _cuda_waits(step: TimedCall) -> int:
    torch.cuda.set_sync_debug_mode("warn")
    try:
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            step()
    finally:
        torch.cuda.set_sync_debug_mode("default")
    return sum("synchroniz" in str(w.message) for w in seen)
