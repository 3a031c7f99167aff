"""Regions of which nothing is known: what each model predicts there has no loss and no gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances

from recseg_d2.config import load_config
from recseg_d2.models.dense_attention import training
from recseg_d2.models.dense_attention.trunk import FINE_STRIDE
from recseg_d2.models.instance_fcn.labels import IGNORED, NEGATIVE, ignore_negatives, mask_targets
from recseg_d2.models.instance_fcn.training import _sample

SIZE = (48, 64)
SMALL = [
    *("MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "MODEL.SEQUENTIAL.IMAGE_SIZE", SIZE),
    *("MODEL.SEQUENTIAL.STEPS", 3),
    *("MODEL.SMALL_FPN.WIDTHS", (8, 8, 8, 8), "MODEL.SMALL_FPN.OUT_WIDTH", 8),
]
RSIS = ["MODEL.SMALL_ENCODER.WIDTHS", (4, 6, 8, 8)]
RIS = ["MODEL.RIS.BOX.WIDTHS", (4,), "MODEL.RIS.BOX.POOLS", (4,)]


def make(name: str, *opts):
    torch.manual_seed(0)
    return build_model(load_config(name, [*SMALL, *opts]))


def ignored() -> torch.Tensor:
    """The right third of the image, and a stripe beside the first object."""
    where = torch.zeros(SIZE, dtype=torch.bool)
    where[:, 44:] = where[8:24, 24:28] = True
    return where


def example(**more):
    """Two squares; a third one in the ignored part, which nobody marked."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 90, (3, *SIZE), generator=generator, dtype=torch.uint8)
    image[:, 20:36, 46:62] += 120
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    masks[0, 8:24, 8:24] = masks[1, 28:44, 20:36] = True
    for mask in masks:
        image[:, mask] += 120
    instances = Instances(SIZE, gt_masks=BitMasks(masks), gt_classes=torch.zeros(2).long())
    return {"image": image, "instances": instances, **more}


@pytest.mark.parametrize(
    ("name", "opts"),
    [("rsis_small.yaml", RSIS), ("ris_small.yaml", RIS)],
)
def test_sequential_models(name, opts, monkeypatch):
    model, kept = make(name, *opts), []
    run = model.run_with_targets

    def kept_run(*args):
        kept.append(run(*args))
        kept[-1].mask_logits.retain_grad()
        return kept[-1]

    monkeypatch.setattr(model, "run_with_targets", kept_run)
    sum(model([example(ignored=ignored()), example()]).values()).backward()
    # of the last object's step, from whose mask no canvas leads to another object's
    gradient = kept[0].mask_logits.grad[:, 1]
    assert not gradient[0].masked_select(ignored()).any()
    assert gradient[0].masked_select(~ignored()).any()
    assert gradient[1].masked_select(ignored()).any()


def test_the_heat_of_dense_attention_seg():
    model, heats = make("dense_small.yaml"), []
    model.network.heat.register_forward_hook(lambda *args: heats.append(args[-1]))
    given = example(ignored=ignored(), prepared=True)
    given["image"] = given["image"] / 255
    losses = model([given])
    for logits in heats:
        logits.retain_grad()
    sum(losses.values()).backward()
    assert heats
    cells = ignored()[::FINE_STRIDE, ::FINE_STRIDE]
    for logits in heats:
        gradient = logits.grad[0, : cells.shape[0], : cells.shape[1]]
        assert not gradient[cells].any()
        assert gradient[~cells].all()


def test_what_dense_attention_seg_has_in_unknown_cells_changes_no_loss(monkeypatch):
    """The same losses, whatever masks the window network predicts where nothing is known."""
    model = make("dense_small.yaml").eval()
    segment, values = model.network.segment, []
    given = example(ignored=ignored(), prepared=True)
    given["image"] = given["image"] / 255
    cells, kept = training._unknown_cells, []

    def kept_cells(*args):
        kept.append(cells(*args))
        return kept[-1]

    monkeypatch.setattr(training, "_unknown_cells", kept_cells)
    for value in (None, 5.0, -5.0):
        kept.clear()

        def changed(*args, value=value):
            found = segment(*args)
            if value is not None:
                found.masks = torch.where(torch.cat(kept), value, found.masks)
            return found

        monkeypatch.setattr(model.network, "segment", changed)
        with torch.no_grad():
            losses = model.losses([given])
        values.append({name: float(losses[name]) for name in ("loss_mask", "loss_score")})
        assert torch.cat(kept).any()
    assert values[0] == values[1] == values[2]


def test_instance_fcn_has_no_negative_window_and_no_mask_target_there():
    model = make("instancefcn_small.yaml")
    network, options = model.network, model.options
    side = round(options.labels.object_side * network.geometry.side)
    masks = torch.zeros(1, 2 * side, 3 * side, dtype=torch.bool)
    masks[0, 8 : 8 + side, 8 : 8 + side] = True
    where = torch.zeros(masks.shape[1:], dtype=torch.bool)
    where[:, 2 * side :] = where[8:side, 8 + side : 12 + side] = True
    sample = _sample(network, masks, options, where)
    stride, positives = network.stride, len(sample.objects)
    assert positives
    for row, column in sample.cells[positives:].tolist():
        cell = where[row * stride : (row + 1) * stride, column * stride : (column + 1) * stride]
        assert not cell.any()
    known = mask_targets(masks, sample, network.geometry, network.mask_side, False)
    found = mask_targets(masks, sample, network.geometry, network.mask_side, False, where)
    assert ((found == known) | (found == -1)).all()
    assert ((found == -1) & (known >= 0)).any()


def test_the_cells_of_negative_windows_that_are_ignored():
    labels = torch.tensor([[0, NEGATIVE, NEGATIVE], [IGNORED, NEGATIVE, 1]])
    where = torch.zeros(7, 12, dtype=torch.bool)
    where[3, 7] = where[6, 11] = where[0, 0] = True
    found = ignore_negatives(labels, where, 4)
    assert found.tolist() == [[0, IGNORED, NEGATIVE], [IGNORED, NEGATIVE, 1]]


def test_proposals_of_what_nobody_marked_are_not_background():
    more = ["MODEL.PROPOSAL_CLASSIFIER.FC_WIDTH", 16]
    more += ["MODEL.PROPOSAL_CLASSIFIER.SAMPLING.BACKGROUND_IOU", (0.0, 0.5)]
    model = make("instancefcn_classifier_synthetic.yaml", *more)
    masks = torch.zeros(3, *SIZE, dtype=torch.bool)
    masks[0, 8:24, 8:24] = masks[1, 20:36, 46:62] = masks[2, 30:46, 0:8] = True
    proposals = Instances(SIZE, pred_masks=masks)

    def background(**ignored) -> list[bool]:
        """Whether each proposal is one of the background's samples."""
        chosen, labels = model._samples(example(proposals=proposals, **ignored), None)
        samples = chosen[labels == model.num_classes]
        return [any(torch.equal(mask, sample) for sample in samples) for mask in masks]

    assert background() == [False, True, True]
    assert background(ignored=ignored()) == [False, False, True]


def test_a_batch_without_ignored_pixels_has_the_losses_of_one_that_never_heard_of_them():
    nothing = torch.zeros(SIZE, dtype=torch.bool)
    for name, opts in (("rsis_small.yaml", RSIS), ("ris_small.yaml", RIS)):
        model = make(name, *opts)
        values = []
        for more in ({}, {"ignored": nothing}):
            torch.manual_seed(2)
            values.append({k: v.item() for k, v in model([example(**more)]).items()})
        assert values[0] == values[1]
        assert all(np.isfinite(v) for v in values[0].values())
