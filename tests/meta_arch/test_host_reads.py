"""No step loop waits for its device, except where stopping needs a value.

``docs/performance.md`` has the same numbers: who makes a model wait more often changes both.
"""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from detectron2.modeling import build_model

from benchmarks.batches import random_batch
from benchmarks.configs import benchmark_config
from benchmarks.host_reads import HostReads

TINY = {
    "rsis_synthetic.yaml": [
        *("MODEL.SMALL_ENCODER.WIDTHS", "(4, 6)", "MODEL.RSIS.HIDDEN_WIDTHS", "(6, 4)"),
    ],
    "ris_synthetic.yaml": [
        *("MODEL.RIS.BOX.WIDTHS", "(4, 4)", "MODEL.RIS.BOX.POOLS", "(2, 2)"),
        *("MODEL.RIS.BOX.HIDDEN_WIDTH", "6", "MODEL.RIS.PATCH.SIZE", "(8, 8)"),
        *("MODEL.RIS.PREPROCESSOR.WIDTHS", "((4, 4), (4, 6))"),
        *("MODEL.RIS.PREPROCESSOR.SKIPS", "(1, 1)"),
    ],
    "instancefcn_synthetic.yaml": [
        *("MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", "8"),
        *("MODEL.INSTANCE_FCN.TEST.SCALES", "(24, 36, 40)"),
        *("MODEL.INSTANCE_FCN.TEST.TOPK", "50"),
    ],
    "dense_synthetic.yaml": [],
}
SEQUENTIAL = ["rsis_synthetic.yaml", "ris_synthetic.yaml"]
STOPS = {  # where a step loop asks whether to go on
    "rsis_synthetic.yaml": "models.convlstm.decoder.forward",
    "ris_synthetic.yaml": "models.recurrent_attention.model._without_ended",
}


def build(config: str, steps: int = 4, feeding: str = "never") -> tuple[torch.nn.Module, list]:
    cfg = benchmark_config(
        config,
        [
            *TINY[config],
            *("MODEL.SEQUENTIAL.IMAGE_SIZE", "(32, 32)", "MODEL.SEQUENTIAL.STEPS", str(steps)),
            *("MODEL.DEVICE", "cpu"),
        ],
    )
    cfg.defrost()
    cfg.MODEL.RIS.SAMPLING.MASKS = cfg.MODEL.RIS.SAMPLING.BOXES = feeding
    torch.manual_seed(0)
    return build_model(cfg), random_batch(cfg, 2)


def counted(config: str, training: bool, steps: int = 4, feeding: str = "never") -> HostReads:
    model, batch = build(config, steps, feeding)
    model.train(training)
    with HostReads() as found, torch.set_grad_enabled(training):
        model(batch)
    return found


@pytest.mark.parametrize("feeding", ["never", "always"])
@pytest.mark.parametrize("config", SEQUENTIAL)
def test_no_step_of_training_waits(config, feeding):
    few, many = (counted(config, True, steps, feeding) for steps in (3, 6))
    assert few.reads == many.reads
    assert few.uploads == many.uploads


@pytest.mark.parametrize("config", SEQUENTIAL)
def test_a_step_of_inference_waits_to_know_whether_to_stop_and_for_nothing_else(config):
    few, many = (counted(config, False, steps) for steps in (3, 6))
    assert many.reads - few.reads == Counter({STOPS[config]: 3})
    assert few.uploads == many.uploads


@pytest.mark.parametrize("config", SEQUENTIAL)
def test_the_step_loop_runs_on_tensors_without_values(config):
    model, _ = build(config)
    model.to("meta")
    images = torch.zeros(2, 3, 32, 32, device="meta")
    for training in (True, False):
        sequence = model.train(training).run_sequence(images, 4)
        assert sequence.mask_logits.shape == (2, 4, 32, 32)


@pytest.mark.parametrize(
    ("config", "a_batch", "an_image"),
    [
        # kept objects, lengths, matching (RIS: of masks and of boxes)
        ("rsis_synthetic.yaml", 3, 0),
        ("ris_synthetic.yaml", 4, 0),
        # positives among the windows; objects, windows of either kind, and their objects
        ("instancefcn_synthetic.yaml", 1, 4),
        # maxima, cells of objects, masks
        ("dense_synthetic.yaml", 3, 0),
    ],
)
def test_training_waits_no_more_often_than_is_documented(config, a_batch, an_image):
    assert counted(config, True).reads.total() <= a_batch + 2 * an_image


@pytest.mark.parametrize(
    ("config", "a_batch", "an_image"),
    [
        ("rsis_synthetic.yaml", 4, 2),  # stopping; an image's length, and its masks with a pixel
        ("ris_synthetic.yaml", 4, 2),
        ("instancefcn_synthetic.yaml", 0, 18),  # rounds of suppression, scales, sizes of patches
    ],
)
def test_inference_waits_no_more_often_than_is_documented(config, a_batch, an_image):
    assert counted(config, False).reads.total() <= a_batch + 2 * an_image


def test_a_round_of_the_dense_search_waits_five_times():
    """For its places, their boxes, the windows' sides, what was found, and its masks."""
    model, batch = build("dense_synthetic.yaml")
    found = model.eval().traced_inference(batch)
    rounds = sum(len({look.round for look in x["trace"].looks}) for x in found)
    with HostReads() as reads, torch.no_grad():
        model(batch)
    last = len(batch)  # of each image, that finds no place and ends the search
    in_rounds = reads.reads["models.dense_attention.search._look"] - last
    assert in_rounds > 0  # some round found a place
    in_rounds += reads.reads["models.dense_attention.search._segment"]
    in_rounds += reads.reads["models.dense_attention.model.windows_at"]
    assert in_rounds <= 5 * rounds
