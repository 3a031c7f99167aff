"""Attention figures of a data set: which models have one, and where it comes from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from PIL import Image
from torch import nn

from recseg_d2.config import get_recseg_cfg
from recseg_d2.config.options import ModelOptions, SequentialOptions
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.structures import InstanceSequence
from recseg_d2.visualization.dataset import draw_dataset_attention, trace_of


class Tracer(SequentialModel):
    """Two steps, and a trace where asked for."""

    def __init__(self, leaves_trace: bool) -> None:
        super().__init__(
            sequential=SequentialOptions(image_size=(8, 8), steps=2),
            model_options=ModelOptions(),
            pixel_mean=[0.0] * 3,
            pixel_std=[255.0] * 3,
        )
        self.leaves_trace = leaves_trace

    def run_sequence(self, images, steps, stop_threshold=None):
        assert images.shape == (1, 3, 8, 8)
        masks = torch.zeros(1, steps, 8, 8)
        trace = {"glimpses": torch.full((1, steps, 3, 2, 2), 0.25), "patch_masks": masks}
        return InstanceSequence(
            masks, torch.ones(1, steps), trace=trace if self.leaves_trace else {}
        )


@pytest.fixture
def records(tmp_path):
    for name in "ab":
        Image.fromarray(np.full((10, 12, 3), 90, np.uint8)).save(tmp_path / f"{name}.png")
    return [{"file_name": str(tmp_path / f"{n}.png"), "image_id": f"{n}/1"} for n in "ab"]


INPUTS = [{"image": torch.full((3, 10, 12), 90)}] * 2


def test_a_figure_for_each_image(records, tmp_path):
    files = draw_dataset_attention(Tracer(True), records, INPUTS, tmp_path / "out", side=40)
    assert [f.name for f in files] == ["attention_a_1.png", "attention_b_1.png"]
    one = Image.open(files[0]).size
    more = draw_dataset_attention(
        Tracer(True), records, INPUTS, tmp_path / "out", side=40, all_glimpses=True
    )
    assert Image.open(more[0]).size[1] > one[1]


@pytest.mark.parametrize("model", [Tracer(False), nn.Identity()])
def test_models_without_trace_have_no_figure(model, records, tmp_path):
    assert draw_dataset_attention(model, records, INPUTS, tmp_path / "out") == []
    assert not (tmp_path / "out").exists()


def test_the_trace_is_of_the_first_image_and_of_known_names():
    trace = trace_of(Tracer(True).traced_sequence(INPUTS[0]))
    assert trace.glimpses.shape == (2, 3, 2, 2)
    assert trace.masks.tolist() == np.full((2, 8, 8), 0.5).tolist()
    assert trace.box_maps is None


def test_recurrent_attention_leaves_everything_that_is_drawn():
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "RecurrentAttentionSeg"
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (16, 24)
    cfg.MODEL.SEQUENTIAL.STEPS = 2
    cfg.MODEL.SEQUENTIAL.TEST.SCORE_THRESH = 0.0
    cfg.MODEL.RIS.BOX.WIDTHS, cfg.MODEL.RIS.BOX.POOLS = (4, 4), (2, 2)
    cfg.MODEL.RIS.PREPROCESSOR.WIDTHS = ((4, 4), (4, 6))
    cfg.MODEL.RIS.PREPROCESSOR.SKIPS = (1, 1)
    trace = trace_of(build_model(cfg).eval().traced_sequence(INPUTS[0]))
    assert trace.masks.shape == trace.box_maps.shape == (2, 16, 24)
    assert trace.glimpses.shape == (2, 5, 4, 6)
    np.testing.assert_allclose(trace.glimpses.sum((2, 3)), 1, rtol=1e-5)
    assert trace.box_params.shape == (2, 4)
    assert trace.foreground.shape == (1, 16, 24)
    assert trace.angles.shape == (8, 16, 24)
