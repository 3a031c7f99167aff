"""How fast a device is, and what a published training takes on it."""

from __future__ import annotations

from functools import partial

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from benchmarks.batches import random_batch
from benchmarks.device.equality import difference
from benchmarks.device.settings import (
    SEQUENTIAL,
    Check,
    Row,
    Settings,
    each_model_and_mode,
    tensor_cores,
)
from benchmarks.machine import has_bfloat16
from benchmarks.models import (
    Subject,
    TimedCall,
    build_step,
    interleaved_seconds,
)
from recseg_d2.config import load_config
from recseg_d2.engine.phases import phase_configs
from recseg_d2.layers.compiled import missing_compiler
from recseg_d2.layers.cuda_graph import RecordedRun
from recseg_d2.meta_arch.sequential import SequentialModel

SCHEDULE = "ris_cvppp.yaml"


def speed_checks(settings: Settings) -> dict[str, Check]:
    """Images a second in each precision."""
    return each_model_and_mode(_speed, settings)


def _speed(settings: Settings, file: str, mode: str, seconds: float) -> Row:
    """All precisions in turn."""
    short = ("MODEL.PRECISION", "bfloat16")
    steps = {"float32": timed_step(settings.config(file), mode, settings.batch_size)}
    if settings.device.type == "cuda":
        steps["tf32"] = timed_step(settings.config(file), mode, settings.batch_size, tf32=True)
    if has_bfloat16(settings.device):
        steps["bfloat16"] = timed_step(settings.config(file, *short), mode, settings.batch_size)
    return _images_a_second(settings, steps)


def compiled_checks(settings: Settings) -> dict[str, Check]:
    """Inference with compiled steps; as the last part, since compiling may outrun its time."""
    return {file: partial(_compiled, settings, file) for file in SEQUENTIAL}


def _compiled(settings: Settings, file: str, seconds: float) -> Row:
    """Inference with COMPILE_STEPS beside inference without."""
    missing = missing_compiler(settings.device)
    if missing is not None:
        return {"left_out": f"compiling needs {missing}"}
    key = "MODEL.SEQUENTIAL.COMPILE_STEPS"
    steps = {
        name: timed_step(settings.config(file, key, wanted), "inference", settings.batch_size)
        for name, wanted in (("float32", "False"), ("compiled", "True"))
    }
    (first,) = interleaved_seconds({"": steps["compiled"]}, 1, settings.device, 0).values()
    return {"first_batch_seconds": first, **_images_a_second(settings, steps)}


def _images_a_second(settings: Settings, steps: dict[str, TimedCall]) -> Row:
    seconds = interleaved_seconds(steps, settings.repeats, settings.device, warm_ups=2)
    return {f"{name}_images_a_second": settings.batch_size / s for name, s in seconds.items()}


def timed_step(cfg: CfgNode, mode: str, batch_size: int, tf32: bool = False) -> TimedCall:
    """A function that infers, or trains on, one random batch with a new model."""
    subject = Subject(cfg, mode, batch_size, False, torch.get_num_threads())
    return _with_tensor_cores(build_step(subject)[1], tf32)


def _with_tensor_cores(step: TimedCall, wanted: bool) -> TimedCall:
    def run() -> object:
        with tensor_cores(wanted):
            return step()

    return run


def graph_checks(settings: Settings) -> dict[str, Check]:
    """The step loop of sequential models, recorded once and replayed."""
    return {file: partial(_graph, settings, file) for file in SEQUENTIAL}


@torch.no_grad()
def _graph(settings: Settings, file: str, seconds: float) -> Row:
    """Encoder and all steps, beside the same as they are launched one by one."""
    if settings.device.type != "cuda":
        return {"left_out": "CUDA graphs need CUDA"}
    cfg = settings.config(file)
    model = build_model(cfg).eval()
    assert isinstance(model, SequentialModel)
    rows: Row = {}
    for batch_size in (1, settings.batch_size):
        images = model.images(random_batch(cfg, batch_size))
        plain = partial(model.run_sequence, images, model.steps)
        recorded = RecordedRun(partial(model.run_sequence, steps=model.steps), model.parameters)
        replayed = partial(recorded, images)
        apart = difference(replayed().mask_logits, plain().mask_logits)
        steps: dict[str, TimedCall] = {"plain": plain, "graph": replayed}
        taken = interleaved_seconds(steps, settings.repeats, settings.device)
        rows[f"batch_{batch_size}_times_plain"] = taken["plain"] / taken["graph"]
        rows[f"batch_{batch_size}_images_a_second"] = batch_size / taken["graph"]
        rows[f"batch_{batch_size}_difference"] = apart
    return rows


def schedule_checks(settings: Settings) -> dict[str, Check]:
    """RIS' phases on CVPPP, in each precision."""
    precisions = ["float32", "tf32"] if settings.device.type == "cuda" else ["float32"]
    precisions += ["bfloat16"] if has_bfloat16(settings.device) else []
    return {name: partial(_schedule, settings, name) for name in precisions}


def _schedule(settings: Settings, precision: str, seconds: float) -> Row:
    """Seconds of a training step in each phase, and the hours of all of them."""
    short = "bfloat16" if precision == "bfloat16" else "float32"
    options = [*settings.options(SCHEDULE), "MODEL.PRECISION", short]
    row: Row = {"batch_size": settings.batch_size, "hours": 0.0}
    for name, cfg in phase_configs(load_config(SCHEDULE, options)).items():
        cfg.MODEL.WEIGHTS = ""
        step = timed_step(cfg, "training", settings.batch_size, precision == "tf32")
        taken = interleaved_seconds({name: step}, settings.repeats, settings.device)[name]
        row[f"{name}_seconds"] = taken
        row["hours"] += taken * cfg.SOLVER.MAX_ITER / 3600
    return row
