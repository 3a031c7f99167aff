"""Pictures of a data set: which models have a figure of their workings, and where it comes from."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from PIL import Image

from recseg_d2.config import get_recseg_cfg
from recseg_d2.config.options import ModelOptions, SequentialOptions
from recseg_d2.engine.predictor import traced_inference
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.structures import InstanceSequence
from recseg_d2.visualization.pictures import (
    attention_trace,
    draw_pictures,
    draw_workings,
    figure_name,
)


class Tracer(SequentialModel):
    """Two steps, and a trace where asked for; it counts how often it runs."""

    def __init__(self, leaves_trace: bool) -> None:
        super().__init__(
            sequential=SequentialOptions(image_size=(8, 8), steps=2),
            model_options=ModelOptions(),
            pixel_mean=[0.0] * 3,
            pixel_std=[255.0] * 3,
        )
        self.leaves_trace = leaves_trace
        self.runs = 0

    def run_sequence(self, images, steps, stop_threshold=None):
        self.runs += 1
        batch = len(images)
        masks = torch.zeros(batch, steps, 8, 8)
        masks[..., :4, :] = 2.0
        trace = {"glimpses": torch.full((batch, steps, 3, 2, 2), 0.25), "patch_masks": masks}
        trace["glimpses"][1:] = 0.5  # of a batch's second image
        return InstanceSequence(
            masks, torch.ones(batch, steps), trace=trace if self.leaves_trace else {}
        )


@pytest.fixture
def records(tmp_path):
    for name in "ab":
        Image.fromarray(np.full((10, 12, 3), 90, np.uint8)).save(tmp_path / f"{name}.png")
    return [{"file_name": str(tmp_path / f"{n}.png"), "image_id": f"{n}/1"} for n in "ab"]


INPUTS = [{"image": torch.full((3, 10, 12), 90)}] * 2


def test_a_figure_for_each_image_from_one_run_of_the_model(records, tmp_path):
    model = Tracer(True)
    outputs = traced_inference(model)(INPUTS)
    files = draw_pictures(model, records, outputs, tmp_path / "out", side=40)
    names = ["montage", "sequence_a_1", "sequence_b_1", "attention_a_1", "attention_b_1"]
    assert [f.stem for f in files] == names
    assert all(f.is_file() for f in files)
    assert model.runs == 1
    one = Image.open(files[3]).size
    more = draw_pictures(model, records, outputs, tmp_path / "out", side=40, all_glimpses=True)
    assert Image.open(more[3]).size[1] > one[1]


def test_models_without_trace_have_no_figure_of_it(records, tmp_path):
    model = Tracer(False)
    files = draw_pictures(model, records, traced_inference(model)(INPUTS), tmp_path / "out")
    assert [f.stem for f in files] == ["montage", "sequence_a_1", "sequence_b_1"]


def test_models_that_know_of_no_trace_are_run_as_they_are():
    model = torch.nn.Identity()
    assert traced_inference(model)(INPUTS) == INPUTS


def test_a_trace_of_an_unknown_kind_is_refused():
    with pytest.raises(TypeError, match="Identity leaves a trace"):
        draw_workings(torch.nn.Identity(), {"trace": {"a": 1}}, INPUTS[0], None, 40, False)


def test_predictions_are_those_without_a_trace():
    model = Tracer(True).eval()
    for plain, traced in zip(model(INPUTS), model.traced_inference(INPUTS), strict=True):
        assert plain.keys() == {"instances"}
        assert (plain["instances"].pred_masks == traced["instances"].pred_masks).all()


def test_the_trace_is_of_each_image_and_of_known_names():
    first, second = (attention_trace(o["trace"]) for o in Tracer(True).traced_inference(INPUTS))
    assert first.glimpses.shape == (2, 3, 2, 2)
    assert (first.glimpses.max(), second.glimpses.min()) == (0.25, 0.5)
    assert first.masks[:, 4:].tolist() == np.full((2, 4, 8), 0.5).tolist()
    assert first.box_maps is None


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
    with torch.no_grad():
        output, _ = build_model(cfg).eval().traced_inference(INPUTS)
    trace = attention_trace(output["trace"])
    assert trace.masks.shape == trace.box_maps.shape == (2, 16, 24)
    assert trace.scores.shape == (2,)
    assert trace.glimpses.shape == (2, 5, 4, 6)
    np.testing.assert_allclose(trace.glimpses.sum((2, 3)), 1, rtol=1e-5)
    assert trace.box_params.shape == (2, 4)
    assert trace.foreground.shape == (1, 16, 24)
    assert trace.angles.shape == (8, 16, 24)


def test_image_ids_become_parts_of_file_names():
    assert figure_name({"image_id": 139}) == "139"
    assert figure_name({"image_id": "a/b c:1"}) == "a_b_c_1"
