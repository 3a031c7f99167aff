"""DenseAttentionSeg: what goes in, what comes out, what it learns."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances

from recseg_d2.config import get_recseg_cfg
from recseg_d2.engine.solver import build_optimizer
from recseg_d2.engine.weights import load_pretrained
from recseg_d2.errors import UserError
from recseg_d2.layers.efficientnet import EfficientNetLite
from recseg_d2.layers.intensity import IntensityOptions, unit_intensity
from recseg_d2.models.dense_attention import losses
from recseg_d2.structures import LabelMapMasks

SIZE = (70, 90)


def tiny_cfg(*opts):
    cfg = get_recseg_cfg()
    cfg.merge_from_list(
        [
            *("MODEL.META_ARCHITECTURE", "DenseAttentionSeg", "MODEL.DEVICE", "cpu"),
            *("MODEL.BACKBONE.NAME", "build_residual_encoder_backbone"),
            *("MODEL.RESIDUAL_ENCODER.WIDTHS", (8, 8, 12, 12)),
            *("MODEL.DENSE_ATTENTION.NETWORK.COARSE_WIDTH", 8),
            *("MODEL.DENSE_ATTENTION.NETWORK.HEAD_WIDTH", 8),
            *("MODEL.DENSE_ATTENTION.NETWORK.WINDOW_WIDTHS", (8, 8, 8)),
            *("MODEL.DENSE_ATTENTION.NETWORK.CELLS", 16),
            *("MODEL.PIXEL_MEAN", [0.5, 0.5, 0.5], "MODEL.PIXEL_STD", [0.5, 0.5, 0.5]),
            *("INPUT.RESIZE", "scale", "INPUT.INTENSITY.KIND", "percentiles", *opts),
        ]
    )
    return cfg


def make(*opts):
    torch.manual_seed(0)
    return build_model(tiny_cfg(*opts))


def example(size=SIZE, objects=3, channels=3, **more):
    """Bright squares in a row; the first two touch."""
    masks = torch.zeros(objects, *size, dtype=torch.bool)
    image = torch.randint(0, 20, (channels, *size), dtype=torch.uint8)
    for n, left in enumerate((4, 20, 50)[:objects]):
        masks[n, 10 + n : 26 + n, left : left + 16] = True
        image[:, masks[n]] += 100 + 40 * n
    instances = Instances(size, gt_masks=BitMasks(masks))
    instances.gt_classes = torch.arange(objects) % 2
    return {"image": image, "instances": instances, **more}


@pytest.mark.parametrize("classes", [1, 2])
def test_all_parameters_get_gradients_from_images_of_any_size(classes):
    model = make("MODEL.NUM_CLASSES", classes)
    batch = [example(), example((64, 100), 2)]
    if classes == 1:
        for x in batch:
            x["instances"].gt_classes[:] = 0
    losses = model(batch)
    names = ["foreground", "direction", "box", "heat", "mask", "score"] + ["class"] * (classes > 1)
    assert set(losses) == {f"loss_{name}" for name in names}
    assert all(loss.ndim == 0 and loss.isfinite() for loss in losses.values())
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


def test_images_without_objects_train():
    model = make()
    losses = model([example(objects=0), example(objects=0)])
    sum(losses.values()).backward()
    assert all(loss.isfinite() for loss in losses.values())


@pytest.mark.parametrize("size", [(1, 1), (33, 7), SIZE])
def test_instances_are_of_the_size_that_is_asked_for(size):
    model = make().eval()
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    with torch.no_grad():
        own, other = model([{"image": image}, {"image": image, "height": 40, "width": 50}])
    for output, expected in ((own, size), (other, (40, 50))):
        instances = output["instances"]
        assert instances.image_size == expected
        assert isinstance(instances.pred_masks, LabelMapMasks)
        assert instances.pred_masks.shape == (len(instances), *expected)
        assert instances.step.tolist() == list(range(len(instances)))
        assert instances.pred_masks.tensor.sum(0).le(1).all()
        assert instances.pred_masks.areas().gt(0).all()


@pytest.fixture(scope="module")
def learned():
    """Trained on one image until it knows it, as a run would be."""
    cfg = tiny_cfg("SOLVER.OPTIMIZER", "MUON", "SOLVER.BASE_LR", 0.01, "MODEL.NUM_CLASSES", 2)
    torch.manual_seed(0)
    model = build_model(cfg)
    optimizer = build_optimizer(cfg, model)
    # at a rate that stays as it is, what the last steps leave differs between processors
    rate = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda i: min(1.0, 2 - i / 100))
    batch = [example()]
    for _ in range(200):
        optimizer.zero_grad()
        sum(model(batch).values()).backward()
        optimizer.step()
        rate.step()
    return model.eval()


@torch.no_grad()
def test_it_finds_touching_objects_with_their_classes(learned):
    truth = example()
    found = learned([truth])[0]["instances"]
    masks, true_masks = found.pred_masks.tensor, truth["instances"].gt_masks.tensor
    shared = (masks[:, None] & true_masks[None]).flatten(2).sum(2)
    union = (masks[:, None] | true_masks[None]).flatten(2).sum(2)
    iou = shared / union
    assert len(found) == 3
    assert iou.max(0).values.min() > 0.7
    classes = truth["instances"].gt_classes[iou.argmax(1)]
    assert torch.equal(found.pred_classes, classes)
    assert found.scores.min() > 0.4


@torch.no_grad()
def test_large_images_are_searched_in_tiles(learned):
    whole = learned([example()])[0]["instances"]
    tiled = build_model(
        tiny_cfg(
            *("MODEL.NUM_CLASSES", 2, "MODEL.DENSE_ATTENTION.TILING.SIDE", 64),
            *("MODEL.DENSE_ATTENTION.TILING.OVERLAP", 32),
        )
    )
    tiled.load_state_dict(learned.state_dict())
    found = tiled.eval()([example()])[0]["instances"]
    ours, theirs = (i.pred_masks.label_map() > 0 for i in (found, whole))
    assert (ours & theirs).sum() / (ours | theirs).sum() > 0.85


@torch.no_grad()
def test_the_trace_holds_looks_heat_and_the_same_objects(learned):
    output = learned.traced_inference([example()])[0]
    result = output["trace"]
    kept = [look for look in result.looks if look.found >= 0]
    assert [look.found for look in kept] == list(range(len(kept)))
    assert len(kept) == len(learned([example()])[0]["instances"]) == len(output["instances"])
    assert len(result.heat) >= 2
    first = kept[0]
    row, column = (int(v) // 2 for v in reversed(first.place))
    assert result.heat[0][row, column] == pytest.approx(first.heat)
    assert result.heat[-1][row, column] < first.heat / 2  # what is on the canvas cools down
    assert all(0 <= look.heat <= 1 for look in result.looks)


@torch.no_grad()
def test_values_are_brought_to_one_range_by_the_loader_or_the_model(learned):
    raw = example()
    array = raw["image"].numpy().transpose(1, 2, 0)
    unit = unit_intensity(array, IntensityOptions("percentiles")).transpose(2, 0, 1)
    prepared = {"image": torch.from_numpy(unit), "prepared": True}
    torch.testing.assert_close(learned.model_image(raw), learned.model_image(prepared))
    brighter = {"image": raw["image"].to(torch.int32) * 200 + 1000}
    torch.testing.assert_close(learned.model_image(brighter), learned.model_image(raw))


def test_the_logarithmic_copy_by_hand():
    model = make("MODEL.DENSE_ATTENTION.NETWORK.LOG_CONTRAST", 9.0)
    image = torch.full((3, 2, 2), 1 / 3)
    seen = model.model_image({"image": image, "prepared": True})
    assert seen.shape == (6, 2, 2)
    torch.testing.assert_close(seen[0, 0, 0], torch.tensor((1 / 3 - 0.5) / 0.5))
    torch.testing.assert_close(seen[3, 0, 0], torch.tensor(np.log(4) / np.log(10)).float())


def test_images_are_magnified_where_the_config_says_so():
    model = make("INPUT.SCALE", 2.0)
    assert model.model_image(example()).shape == (6, 140, 180)
    prepared = {"image": torch.zeros(3, 5, 6), "prepared": True}
    assert model.model_image(prepared).shape == (6, 5, 6)


@pytest.mark.parametrize("channels", [1, 5])
def test_any_number_of_channels(channels):
    values = [0.5] * channels
    model = make("MODEL.PIXEL_MEAN", values, "MODEL.PIXEL_STD", values)
    assert sum(model([example(channels=channels)]).values()).isfinite()
    with pytest.raises(UserError, match=f"expected the {channels} of MODEL.PIXEL_MEAN"):
        model([example(channels=channels + 1)])


def test_backbones_of_the_registry_and_those_that_do_not_fit():
    model = make("MODEL.BACKBONE.NAME", "build_efficientnet_lite0_backbone")
    losses = model([example(), example()])
    sum(losses.values()).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []
    with pytest.raises(UserError, match=r"MODEL\.BACKBONE\.NAME has maps at strides \[4\]"):
        make("MODEL.BACKBONE.NAME", "build_small_fpn_backbone")


def test_the_distributed_weights_of_an_encoder_load_by_their_names(tmp_path):
    torch.manual_seed(1)
    weights = EfficientNetLite().state_dict()
    path = tmp_path / "lite.pth"
    torch.save({**weights, "_fc.weight": torch.zeros(1000, 1280)}, path)
    model = make("MODEL.BACKBONE.NAME", "build_efficientnet_lite0_backbone")
    load_pretrained(model, str(path), min_fraction=1.0)
    found = model.network.encoder.backbone.state_dict()
    assert all(torch.equal(found[name], value) for name, value in weights.items())


def test_validation_losses_are_the_same_each_time_and_training_draws_anew():
    model = make()
    batch = [example()]
    with torch.no_grad():
        drawn = [sum(model(batch).values()).item() for _ in range(2)]
        model.eval()
        fixed = [sum(model.losses(batch).values()).item() for _ in range(2)]
    assert fixed[0] == fixed[1]
    assert drawn[0] != drawn[1]


def test_bfloat16_is_close_and_ends_in_float32():
    batch = [example()]
    with torch.no_grad():
        models = {p: make("MODEL.PRECISION", p).eval() for p in ("float32", "bfloat16")}
        losses = {p: model.losses(batch) for p, model in models.items()}
    for name, value in losses["float32"].items():
        short = losses["bfloat16"][name]
        assert short.dtype == torch.float32
        torch.testing.assert_close(short, value, rtol=0.15, atol=0.02)


@torch.no_grad()
def test_pointing_at_the_first_look_gives_its_mask(learned):
    image = example()
    traced = learned.traced_inference([image])[0]
    first = traced["trace"].looks[0]
    pointed = learned.object_at(image, first.place)
    rows, columns, values = first.drawn.pixels(SIZE)
    expected = torch.zeros(SIZE, dtype=torch.bool)
    expected[rows, columns] = values > 0.5
    assert torch.equal(pointed.pred_masks.tensor[0], expected)
    assert pointed.scores.tolist() == pytest.approx([first.score])
    assert pointed.pred_classes[0] == traced["instances"].pred_classes[0]


def test_pointing_at_an_object_finds_it_beside_what_is_known(learned):
    truth = example()
    masks = truth["instances"].gt_masks.tensor
    known = masks[0].numpy().astype(np.int64) * 7
    for place in ((27, 18), (28.5, 20)):  # of the second square, which touches the first
        mask = learned.object_at(truth, place, known).pred_masks.tensor[0] & ~masks[0]
        assert (mask & masks[1]).sum() / (mask | masks[1]).sum() > 0.7


def test_a_place_is_in_pixels_of_the_size_that_is_asked_for(learned):
    truth = example(height=2 * SIZE[0], width=2 * SIZE[1])
    mask = learned.object_at(truth, (2 * 58, 2 * 20)).pred_masks.tensor[0]
    true = truth["instances"].gt_masks.tensor[2].repeat_interleave(2, 0).repeat_interleave(2, 1)
    assert (mask & true).sum() / (mask | true).sum() > 0.7


def test_of_a_large_image_the_model_sees_a_part_around_the_place(learned):
    image = example()
    whole = learned.object_at(image, (58, 20)).pred_masks.tensor[0]
    cfg = tiny_cfg("MODEL.NUM_CLASSES", 2, "MODEL.DENSE_ATTENTION.TILING.SIDE", 64)
    cfg.MODEL.DENSE_ATTENTION.TILING.OVERLAP = 32
    model = build_model(cfg).eval()
    model.load_state_dict(learned.state_dict())
    part = model.object_at(image, (58, 20)).pred_masks.tensor[0]
    assert (part & whole).sum() / (part | whole).sum() > 0.9
    for corner in ((0, 0), (89.9, 69.9), (500, -3)):
        assert model.object_at(image, corner).image_size == SIZE


def test_how_well_each_image_is_segmented_is_told_after_training(monkeypatch):
    """The mean over the windows that hold an object; not a number where there is none."""
    monkeypatch.setattr(losses, "hard_iou", lambda masks, truth: torch.full((len(truth),), 0.25))
    model = make()
    torch.manual_seed(0)
    found = []
    for _ in range(5):  # a canvas may hold all objects, which leaves none to be found
        model([example(), {**example(), "instances": example()["instances"][:0]}])
        assert model.image_iou.shape == (2,)
        found.append(model.image_iou)
    of_objects, of_nothing = torch.stack(found, dim=1)
    assert of_nothing.isnan().all()
    assert not of_objects.isnan().all()
    assert set(of_objects[~of_objects.isnan()].tolist()) == {0.25}
