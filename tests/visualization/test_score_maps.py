"""The figure of instance-sensitive maps: what it shows, and of which proposals."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from PIL import Image

from recseg_d2.config import load_config
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.visualization.pictures import draw_pictures, proposal_trace
from recseg_d2.visualization.score_maps import ProposalTrace, draw_proposals

SIDE = 48
CAPTION = 18 + 6  # a caption's line and the gap below a panel


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)


def trace(parts: int | None = 3, count: int = 2) -> ProposalTrace:
    rng = np.random.default_rng(1)
    masks = np.zeros((count + 1, 30, 40), dtype=bool)
    for k, mask in enumerate(masks):
        mask[5 * k : 5 * k + 12, 8 * k : 8 * k + 15] = True
    return ProposalTrace(
        masks=masks,
        objectness=rng.random((4, 5)),
        extent=(32 / 30, 1.0),
        instances=masks[:count],
        scores=np.linspace(0.9, 0.5, count),
        windows=np.tile([0.5, 0.5, 0.7, 0.7], (count, 1)),
        maps=None if parts is None else rng.random((parts**2, 4, 5)),
    )


def rows_of(figure: Image.Image) -> int:
    return round((figure.height - 6) / (SIDE * 30 / 40 + CAPTION))


def test_a_row_for_each_row_of_parts(image):
    truth = np.zeros((30, 40), dtype=int)
    truth[2:10, 2:9] = 1
    assert rows_of(draw_proposals(image, trace(), truth, SIDE)) == 1 + 3 + 1
    assert rows_of(draw_proposals(image, trace(parts=None), side=SIDE)) == 1 + 1
    assert rows_of(draw_proposals(image, trace(count=0), side=SIDE)) == 1 + 3
    wide = draw_proposals(image, trace(parts=7, count=7), side=SIDE)
    assert rows_of(wide) == 1 + 7 + 1
    assert wide.width == 6 + 7 * (SIDE + 6)


def test_missed_objects_are_red(image):
    grey = np.full_like(image, 128)
    truth = np.zeros((1, 30, 40), dtype=bool)
    truth[0, 20:30, 0:6] = True
    assert red_pixels(draw_proposals(grey, trace(None, 0), truth, SIDE)) > 20
    covered = draw_proposals(grey, trace(None, 0), trace().masks[:1], SIDE)
    assert red_pixels(covered) == 0
    half = trace().masks[:1].copy()
    half[0, 6:12] = False  # an overlap of one half: found
    assert red_pixels(draw_proposals(grey, trace(None, 0), half, SIDE)) == 0
    half[0, 5] = False
    assert red_pixels(draw_proposals(grey, trace(None, 0), half, SIDE)) > 20


def red_pixels(figure: Image.Image) -> int:
    """Of the last panel in the first row."""
    red, green, blue = np.asarray(figure.crop((3 * (SIDE + 6), 0, figure.width, 60))).T.astype(int)
    return int(((red - green > 80) & (abs(green - blue) < 12)).sum())


def tiny_model(*more: str):
    options = ["MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", "8", "MODEL.INSTANCE_FCN.HEAD.PARTS", "3"]
    scales = ["MODEL.INSTANCE_FCN.TEST.SCALES", "(24, 40)", "MODEL.DEVICE", "cpu"]
    torch.manual_seed(0)
    return build_model(load_config("instancefcn_synthetic.yaml", [*options, *scales, *more])).eval()


def traced(model, image) -> dict:
    with torch.no_grad():
        (output,) = model.traced_inference([{"image": torch.from_numpy(image).permute(2, 0, 1)}])
    return output


def test_the_trace_is_of_the_models_own_proposals(image):
    model = tiny_model()
    output = traced(model, image)
    with torch.no_grad():
        (again,) = model([{"image": torch.from_numpy(image).permute(2, 0, 1)}])
    assert again.keys() == {"proposals", "instances"}
    assert (again["proposals"].pred_masks == output["proposals"].pred_masks).all()
    found = proposal_trace(model, output)
    assert (found.masks == again["proposals"].pred_masks.numpy()).all()
    assert found.maps.shape == (9, *found.objectness.shape)
    assert 0 < len(found.instances) == len(found.windows) == len(found.scores) <= 12
    assert found.scores[0] == pytest.approx(
        float(again["proposals"].objectness_logits[0].sigmoid())
    )
    mask = found.instances[0]
    y, x, height, width = found.windows[0] * np.array([30, 40, 30, 40])
    rows, columns = np.nonzero(mask)
    assert y - height / 2 - 1 <= rows.min() <= rows.max() <= y + height / 2
    assert x - width / 2 - 1 <= columns.min() <= columns.max() <= x + width / 2


@pytest.mark.parametrize("head", ["assembling", "deepmask"])
def test_files_of_a_data_set(image, tmp_path, head):
    Image.fromarray(image).save(tmp_path / "one.png")
    labels = np.zeros((30, 40), dtype=int)
    labels[3:20, 5:30] = 1
    record = {"file_name": str(tmp_path / "one.png"), "image_id": "a/1"}
    with_truth = {**record, "image_id": 2, "annotations": label_map_to_annotations(labels)}
    sides = ["MODEL.INSTANCE_FCN.HEAD.WINDOW", "14", "MODEL.INSTANCE_FCN.HEAD.MASK_SIDE", "28"]
    more = sides if head == "deepmask" else []
    model = tiny_model("MODEL.INSTANCE_FCN.HEAD.MASK_HEAD", head, *more)
    outputs = [traced(model, image)] * 2
    files = draw_pictures(model, [record, with_truth], outputs, tmp_path / "out", side=48)
    names = ["montage", "sequence_a_1", "sequence_2", "proposals_a_1", "proposals_2"]
    assert [f.stem for f in files] == names
    assert (Image.open(files[3]).height > 5 * (36 + CAPTION)) == (head == "assembling")
