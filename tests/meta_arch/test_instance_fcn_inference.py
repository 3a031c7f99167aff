"""From an image to ``Instances``: what comes out, at which size, and what a config may say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from detectron2.engine import DefaultPredictor
from detectron2.modeling import build_model
from torch import nn

from recseg_d2.backbones.single import SmallFPNBackbone
from recseg_d2.config import get_recseg_cfg, load_config, read_options
from recseg_d2.config.options import ModelOptions
from recseg_d2.engine.predictor import Predictor
from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import box_iou, masks_to_boxes
from recseg_d2.layers.small_fpn import SmallFPNOptions
from recseg_d2.meta_arch import InstanceFCNProposal, instance_fcn_proposal
from recseg_d2.meta_arch.instance_fcn_proposal import to_instances
from recseg_d2.models.instance_fcn.network import InstanceFCN, ProposalMaps
from recseg_d2.models.instance_fcn.options import HeadOptions, InstanceFCNOptions, ProposalOptions
from recseg_d2.structures import MaskProposals

STRIDE, CELLS = 4, 15
TINY = [
    *("MODEL.BACKBONE.NAME", "build_small_fpn_backbone"),
    *("MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", "8", "MODEL.DEVICE", "cpu"),
    *("MODEL.INSTANCE_FCN.TEST.SCALES", "(24, 40)", "MODEL.INSTANCE_FCN.TEST.TOPK", "30"),
]


class BrightThings(InstanceFCN):
    """Knows the answer: a mask is where the image is bright, a window is good on bright cells."""

    def __init__(self) -> None:
        super().__init__(
            nn.Identity(), 3, STRIDE, HeadOptions(parts=1, window=CELLS, branch_width=4)
        )

    def forward(self, images: torch.Tensor) -> ProposalMaps:
        cells = F.avg_pool2d(images[:, :1], STRIDE)
        return ProposalMaps(20 * (cells - 0.5), 20 * (F.avg_pool2d(cells, 5, 1, 2) - 0.5))


@torch.no_grad()
def infer(image, size, **options):
    """What the model returns for an image in 0..1, at a size."""
    model = InstanceFCNProposal(
        backbone=SmallFPNBackbone(SmallFPNOptions()),
        options=InstanceFCNOptions(test=ProposalOptions(**options)),
        model_options=ModelOptions(),
        pixel_mean=[0.0] * 3,
        pixel_std=[1.0] * 3,
    )
    model.network = BrightThings()
    (output,) = model.eval()([{"image": image, "height": size[0], "width": size[1]}])
    return output


def bright_image(size: tuple[int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    """An ellipse off the cells' grid, and its mask."""
    y, x = torch.meshgrid(*(torch.arange(s) + 0.5 for s in size), indexing="ij")
    mask = ((y - 33.3) / 14.2) ** 2 + ((x - 50.7) / 19.4) ** 2 < 1
    return mask.float().expand(3, -1, -1), mask


@pytest.mark.parametrize("zoom", [1, 2])
@pytest.mark.parametrize("scales", [(70,), (50, 70, 110), (88.8,)])
def test_masks_come_back_with_the_precision_of_pixels(scales, zoom):
    """Cells are up to 6 pixels wide; the border is found between them."""
    image, mask = bright_image((75, 100))
    size = (75 * zoom, 100 * zoom)
    found = infer(image, size, scales=scales, mask_thresh=0.5, topk=20)["proposals"].pred_masks
    truth = mask.repeat_interleave(zoom, 0).repeat_interleave(zoom, 1)
    assert found.shape[1:] == size
    overlap = (found & truth).flatten(1).sum(1) / (found | truth).flatten(1).sum(1)
    assert overlap.max() > 0.93


def test_what_comes_out():
    image, _ = bright_image((75, 100))
    proposals = {"scales": (50, 70), "mask_thresh": 0.5, "nms_thresh": 0.7, "topk": 9}
    output = infer(image, (75, 100), **proposals, instance_nms_thresh=0.4, instance_topk=3)
    proposals, instances = output["proposals"], output["instances"]
    assert 1 < len(proposals) <= 9
    assert proposals.image_size == instances.image_size == (75, 100)
    assert proposals.pred_masks.dtype == torch.bool
    assert (proposals.objectness_logits.diff() <= 0).all()
    assert torch.equal(proposals.proposal_boxes.tensor, masks_to_boxes(proposals.pred_masks))
    assert 1 <= len(instances) <= 3
    assert torch.equal(instances.pred_masks[0], proposals.pred_masks[0])
    assert torch.equal(instances.scores[0], proposals.objectness_logits[0].sigmoid())
    assert instances.step.tolist() == list(range(len(instances)))
    assert (instances.pred_classes == 0).all()
    assert (instances.scores >= 0.5).all()
    overlaps = box_iou(instances.pred_boxes.tensor, instances.pred_boxes.tensor)
    assert (overlaps.fill_diagonal_(0) <= 0.4).all()


def test_nothing_found():
    output = infer(torch.zeros(3, 30, 40), (30, 40), scales=(50,), mask_thresh=0.5)
    assert len(output["proposals"]) == len(output["instances"]) == 0
    assert output["proposals"].pred_masks.shape == (0, 30, 40)
    assert len(to_instances(output["proposals"], ProposalOptions(instance_score_thresh=0))) == 0


def tiny_config(*more: str):
    cfg = load_config("instancefcn_synthetic.yaml", [*TINY, *more])
    cfg.freeze()
    return cfg


def test_default_predictor_and_predictor_agree(tmp_path):
    cfg = tiny_config("MODEL.WEIGHTS", str(tmp_path / "w.pth")).clone()
    torch.manual_seed(0)
    torch.save({"model": build_model(cfg).state_dict()}, cfg.MODEL.WEIGHTS)
    image = np.random.default_rng(0).integers(0, 255, (50, 61, 3), dtype=np.uint8)
    theirs = DefaultPredictor(cfg)(image)
    assert 1 <= len(theirs["proposals"]) <= 30
    assert theirs["proposals"].pred_masks.shape[1:] == (50, 61)
    ours = next(Predictor(cfg)([image]))
    assert torch.equal(ours.pred_masks, theirs["instances"].pred_masks)
    assert torch.equal(ours.scores, theirs["instances"].scores)


def test_a_batch_of_other_sizes():
    model = build_model(tiny_config()).eval()
    inputs = [
        {"image": torch.rand(3, 40, 30) * 255, "height": 80, "width": 60},
        {"image": torch.rand(3, 20, 50) * 255},
    ]
    with torch.no_grad():
        outputs = model(inputs)
        alone = model(inputs[1:])[0]
    assert [o["proposals"].image_size for o in outputs] == [(80, 60), (20, 50)]
    assert torch.equal(outputs[1]["proposals"].pred_masks, alone["proposals"].pred_masks)


def test_options_come_from_the_config():
    options = read_options(get_recseg_cfg(), InstanceFCNOptions)
    assert options == InstanceFCNOptions()
    assert [round(scale) for scale in options.test.scales] == [119, 178, 267, 400, 600, 900]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("SCALES", ()),
        ("SCALES", (100, 0)),
        ("MAX_SIDE", 0),
        ("MASK_THRESH", 1.0),
        ("NMS_THRESH", -0.1),
        ("PRE_NMS_TOPK", -1),
        ("TOPK", 0),
        ("INSTANCE_SCORE_THRESH", 2.0),
        ("INSTANCE_NMS_THRESH", 1.5),
        ("INSTANCE_TOPK", 0),
    ],
)
def test_values_out_of_range_are_refused(key, value):
    cfg = get_recseg_cfg()
    cfg.MODEL.INSTANCE_FCN.TEST[key] = value
    with pytest.raises(UserError, match=rf"MODEL\.INSTANCE_FCN\.TEST\.{key} is "):
        read_options(cfg, InstanceFCNOptions)


def test_proposals_without_a_pixel_are_left_out_in_the_memory_of_all(monkeypatch):
    """Of masks that are mostly memory, there is no second copy."""
    own = instance_fcn_proposal.paste_masks
    pasted = []
    monkeypatch.setattr(
        instance_fcn_proposal, "paste_masks", lambda *args: pasted.append(own(*args)) or pasted[-1]
    )
    windows = torch.tensor([[0, 0, 8, 8], [4, 4, 12, 12], [0, 8, 8, 16], [8, 8, 16, 16]]).float()
    logits = torch.full((4, 2, 2), 5.0)
    logits[[0, 2]] = -5  # no pixel above the threshold
    found = MaskProposals(logits, windows, torch.tensor([4.0, 3.0, 2.0, 1.0]), windows, (16, 16))
    proposals = instance_fcn_proposal.to_proposals(found, 0.5)
    assert proposals.objectness_logits.tolist() == [3, 1]
    assert proposals.proposal_boxes.tensor.tolist() == windows[[1, 3]].tolist()
    for mask, (x1, y1, x2, y2) in zip(proposals.pred_masks, windows[[1, 3]].int(), strict=True):
        expected = torch.zeros(16, 16, dtype=torch.bool)
        expected[y1:y2, x1:x2] = True
        assert torch.equal(mask, expected)
    assert proposals.pred_masks.data_ptr() == pasted[0].data_ptr()
