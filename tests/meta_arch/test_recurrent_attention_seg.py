from dataclasses import replace

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances
from detectron2.utils.events import EventStorage
from PIL import Image

from recseg_d2.config import get_recseg_cfg
from recseg_d2.errors import UserError

SIZE = (32, 40)


def tiny_cfg(**options):
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "RecurrentAttentionSeg"
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = SIZE
    cfg.MODEL.SEQUENTIAL.STEPS = 4
    cfg.MODEL.PIXEL_STD = [64.0, 64.0, 64.0]
    ris = cfg.MODEL.RIS
    ris.PREPROCESSOR.WIDTHS = ((4, 4), (6, 6))
    ris.PREPROCESSOR.SKIPS = (-1, 1)
    ris.BOX.WIDTHS, ris.BOX.POOLS, ris.BOX.HIDDEN_WIDTH, ris.BOX.GLIMPSES = (4, 6), (2, 2), 8, 2
    ris.PATCH.SIZE, ris.PATCH.WIDTHS, ris.PATCH.POOLS = (8, 8), (4, 6), (2, 2)
    ris.PATCH.DECODER_WIDTHS, ris.PATCH.SKIPS = (4, 4), (True, True)
    ris.BOX_IOU.MIN_PADDING = 2.0
    for key, value in options.items():
        cfg.merge_from_list([key.replace("__", "."), value])
    return cfg


def make(**options):
    torch.manual_seed(0)
    return build_model(tiny_cfg(**options))


def example(count, size=SIZE, classes=None, **more):
    masks = torch.zeros(count, *size, dtype=torch.bool)
    for i in range(count):
        masks[i, 2 * i : 2 * i + 2] = True
    instances = Instances(size)
    instances.gt_masks = BitMasks(masks)
    instances.gt_classes = torch.tensor(classes or [0] * count, dtype=torch.int64)
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    return {"image": image, "instances": instances, **more}


LOSSES = {
    "preprocessor": {"loss_foreground", "loss_angle"},
    "box": {"loss_box", "loss_score", "loss_foreground", "loss_angle"},
    "full": {"loss_mask", "loss_box", "loss_score", "loss_foreground", "loss_angle"},
}


@pytest.mark.parametrize("stage", LOSSES)
@pytest.mark.parametrize("full_sequences", [True, False])
def test_each_stage_has_its_losses_and_a_gradient_for_every_parameter(stage, full_sequences):
    model = make(MODEL__RIS__STAGE=stage, MODEL__RIS__FULL_SEQUENCES=full_sequences)
    losses = model([example(2), example(0)])
    assert set(losses) == LOSSES[stage]
    sum(losses.values()).backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


@pytest.mark.parametrize("counts", [(0,), (0, 0), (1, 0), (9,)])
@pytest.mark.parametrize("stage", LOSSES)
def test_images_without_objects_and_with_too_many_train(stage, counts):
    losses = make(MODEL__RIS__STAGE=stage)([example(c) for c in counts])
    assert all(torch.isfinite(v) for v in losses.values())
    sum(losses.values()).backward()


def test_an_object_of_one_pixel_trains():
    one = example(1)
    one["instances"].gt_masks.tensor[:] = False
    one["instances"].gt_masks.tensor[0, 5, 7] = True
    for variance in ("predicted", "box"):
        model = make(
            MODEL__RIS__WINDOW__VARIANCE=variance,
            MODEL__RIS__BOX_IOU__MIN_PADDING=0.0,
            MODEL__RIS__BOX_IOU__PADDING_RATIO=0.0,
            MODEL__RIS__SAMPLING__BOX_PADDING_NOISE=0.0,
        )
        losses = model([one])
        sum(losses.values()).backward()
        assert all(torch.isfinite(v) for v in losses.values())
        gradients = [p.grad for p in model.parameters() if p.grad is not None]
        assert all(g.isfinite().all() for g in gradients)


def test_of_more_objects_than_are_kept_the_largest_are_and_a_step_is_left_to_stop():
    model = make(MODEL__SEQUENTIAL__MAX_OBJECTS=3)
    assert model.steps == 4
    targets = model.targets([example(6), example(1)])
    assert targets.counts.tolist() == [3, 1]


def test_steps_computed_anew_are_fed_the_same_objects():
    gradients = []
    for recomputed in (False, True):
        torch.manual_seed(0)
        model = make(
            MODEL__SEQUENTIAL__RECOMPUTE_STEPS=recomputed,
            MODEL__RIS__SAMPLING__REUSE=False,
            MODEL__RIS__SAMPLING__BOXES="always",
            MODEL__RIS__SAMPLING__MASKS="always",
        )
        sum(model([example(3), example(2)]).values()).backward()
        gradients.append({n: p.grad for n, p in model.named_parameters() if p.grad is not None})
    torch.testing.assert_close(gradients[1], gradients[0])


@pytest.mark.parametrize("stage", ["box", "full"])
def test_training_in_a_fixed_order(stage):
    model = make(MODEL__SEQUENTIAL__ORDER="top_to_bottom", MODEL__RIS__STAGE=stage)
    first = model.targets([example(2)])
    assert first.boxes[0, 0, 1] < first.boxes[0, 1, 1]
    assert model.criterion.in_order
    assert feeders(model, [example(2)])[-1].in_order
    reverse = make(MODEL__SEQUENTIAL__ORDER="right_to_left", MODEL__RIS__STAGE=stage)
    assert all(torch.isfinite(v) for v in reverse([example(2), example(0)]).values())


def test_masks_may_keep_to_the_foreground():
    options = {
        "MODEL__SEQUENTIAL__TEST__SCORE_THRESH": 0.0,
        "MODEL__SEQUENTIAL__TEST__MASK_THRESH": 0.001,
    }
    plain, cut = make(**options), make(MODEL__RIS__FOREGROUND_THRESH=0.3, **options)
    cut.load_state_dict(plain.state_dict())
    with torch.no_grad():
        (all_pixels,) = plain.eval()([example(1)])
        batch = [example(1)]
        images = cut.eval().images(batch)
        maps = cut.preprocessor(images)
        maps.foreground_logits[:] = -5.0
        maps.foreground_logits[..., : SIZE[1] // 2] = 5.0
        cut.preprocessor.register_forward_hook(lambda *_: maps)
        (some,) = cut(batch)
    assert all_pixels["instances"].pred_masks[..., SIZE[1] // 2 :].any()
    found = some["instances"]
    assert len(found) > 0
    assert not found.pred_masks[..., SIZE[1] // 2 :].any()
    assert found.pred_masks.flatten(1).any(1).all()
    assert found.pred_boxes.tensor[:, 2].max() <= SIZE[1] // 2


def test_parameters_pass_from_stage_to_stage_by_name():
    before, box, full = (make(MODEL__RIS__STAGE=s).state_dict() for s in LOSSES)
    assert all(k.startswith("preprocessor.") for k in before)
    assert set(before) < set(box)
    lost = set(box) - set(full)
    assert {k.rsplit(".", 1)[0] for k in lost} == {"network.box_score_head"}
    assert all(full[k].shape == box[k].shape for k in box if k in full)


def test_all_steps_are_trained_or_only_those_with_objects():
    assert make().training_lengths(make().targets([example(1)])) == [4]
    short = make(MODEL__RIS__FULL_SEQUENCES=False)
    assert short.training_lengths(short.targets([example(1), example(2)])) == [3, 3]
    packed = make(MODEL__RIS__FULL_SEQUENCES=False, MODEL__RIS__NORM="group")
    assert packed.training_lengths(packed.targets([example(1), example(2)])) == [2, 3]


@pytest.mark.parametrize("stage", ["box", "full"])
def test_without_batch_norms_the_loss_of_a_batch_is_the_mean_of_its_images(stage):
    model = make(
        MODEL__RIS__STAGE=stage,
        MODEL__RIS__FULL_SEQUENCES=False,
        MODEL__RIS__NORM="group",
        MODEL__RIS__SAMPLING__BOXES="never",
        MODEL__RIS__SAMPLING__MASKS="always",
        MODEL__RIS__SAMPLING__MASK_NOISE=0.0,
    )
    batch = [example(1), example(3), example(0)]
    names = {"loss_mask", "loss_box", "loss_score"} & set(LOSSES[stage])
    model.preprocessor.eval()
    with torch.no_grad():
        together = model.losses(batch)
        alone = [model.losses([x]) for x in batch]
    for name in names:
        torch.testing.assert_close(together[name], sum(x[name] for x in alone) / len(batch))


def feeders(model, batch):
    seen = []
    if model.network is not None:
        model.network.register_forward_hook(
            lambda m, args, out: seen.append(args[4]), with_kwargs=False
        )
    model.losses(batch)
    return seen


def test_ground_truth_is_fed_in_training_only():
    model = make()
    assert feeders(model, [example(1)])[0].feeds_masks
    assert feeders(model.eval(), [example(1)])[-1] is None


def test_ground_truth_fades_with_the_iterations():
    model = make(MODEL__RIS__SAMPLING__BOX_START=-50000.0)
    feeder = feeders(model, [example(1)])[-1]
    assert feeder._mask_lots.all()
    assert not feeder._box_lots.any()
    model.iteration = 10**9
    assert not feeders(model, [example(1)])[-1].feeds_masks


def test_the_probabilities_of_feeding_are_logged_in_training_only():
    model = make(MODEL__RIS__SAMPLING__BOXES="never", MODEL__RIS__SAMPLING__DECAY=100.0)
    model.iteration = 10100  # a decay after the default start: exp(-1)
    with EventStorage() as storage:
        model([example(1)])
        assert storage.latest()["feeding/masks"][0] == pytest.approx(0.367879, abs=1e-6)
        assert storage.latest()["feeding/boxes"][0] == 0.0
    with EventStorage() as storage:
        model.eval().losses([example(1)])
        assert "feeding/masks" not in storage.latest()


def test_the_box_stage_always_paints_the_object_whose_box_overlaps_most():
    model = make(MODEL__RIS__STAGE="box", MODEL__RIS__SAMPLING__MASKS="never")
    model.iteration = 10**9
    for _ in range(2):
        feeder = feeders(model, [example(1)])[-1]
        assert feeder.feeds_masks
        assert not feeder.feeds_boxes
        assert feeder.options.overlap == "box"
        model.eval()  # the validation loss too: there are no masks of its own


def test_half_precision_keeps_windows_exact():
    model = make(MODEL__RIS__PREPROCESSOR__ENABLED=False)
    with torch.autocast("cpu", torch.bfloat16):
        losses = model([example(2), example(1)])
        window = model.network.windows(torch.zeros(1, 7, dtype=torch.bfloat16))
    sum(losses.values()).backward()
    assert all(torch.isfinite(v) for v in losses.values())
    assert window.centre.dtype == torch.float32


def test_a_frozen_preprocessor_has_no_loss():
    model = make()
    model.preprocessor.requires_grad_(False)
    assert set(model([example(1)])) == {"loss_mask", "loss_box", "loss_score"}


@pytest.mark.parametrize(
    ("options", "absent"),
    [
        ({"MODEL__RIS__PREPROCESSOR__ENABLED": False}, "preprocessor"),
        ({"MODEL__RIS__BOX__ENABLED": False}, "network.box_network"),
        ({"MODEL__RIS__STAGE": "box"}, "network.segmentation"),
        ({"MODEL__RIS__STAGE": "preprocessor"}, "network"),
        ({"MODEL__RIS__BOX__GLIMPSES": 1}, "network.box_network.glimpse.attend"),
    ],
)
def test_switched_off_parts_have_no_parameters(options, absent):
    assert not [n for n, _ in make(**options).named_parameters() if n.startswith(absent)]
    assert [n for n, _ in make().named_parameters() if n.startswith(absent)]


def test_heads_without_a_loss_are_frozen():
    options = {"MODEL__NUM_CLASSES": 3, "MODEL__RIS__LOSS_WEIGHTS__CLS": 0.0}
    model = make(**options, MODEL__RIS__LOSS_WEIGHTS__SCORE=0.0)
    assert not any(p.requires_grad for p in model.network.class_head.parameters())
    assert not any(p.requires_grad for p in model.network.score_head.parameters())


def all_kept(**options):
    return make(
        MODEL__SEQUENTIAL__TEST__SCORE_THRESH=0.0,
        MODEL__SEQUENTIAL__TEST__MASK_THRESH=0.0,
        **options,
    ).eval()


def test_predictions_have_the_size_that_the_dict_asks_for():
    with torch.no_grad():
        first, second = all_kept()([example(1, height=70, width=50), example(1, size=(20, 30))])
    assert first["instances"].pred_masks.shape == (4, 70, 50)
    assert second["instances"].pred_masks.shape == (4, 20, 30)
    assert first["instances"].step.tolist() == [0, 1, 2, 3]


def test_the_preprocessor_alone_finds_nothing():
    model = make(MODEL__RIS__STAGE="preprocessor").eval()
    with torch.no_grad():
        (result,) = model.traced_inference([example(1)])
    assert result["instances"].pred_masks.shape == (0, *SIZE)
    assert set(result["trace"]) == {"foreground", "angles", "masks", "scores"}
    assert len(result["trace"]["masks"]) == 0


def test_a_batch_gives_what_single_images_give():
    model = all_kept()
    # beta's, within the window
    model.test_options = replace(model.test_options, mask_thresh=0.0067)
    inputs = [example(1), example(2)]
    with torch.no_grad():
        together = model(inputs)
        alone = [model([x])[0] for x in inputs]
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a["instances"].pred_masks, b["instances"].pred_masks)
        assert 0 < a["instances"].pred_masks.float().mean() < 1


@pytest.mark.parametrize("size", [(33, 47), (17, 90)])
def test_any_working_size(size):
    model = make(MODEL__SEQUENTIAL__IMAGE_SIZE=size)
    assert torch.isfinite(model([example(2)])["loss_mask"])


def test_classes_by_the_head():
    model = all_kept(MODEL__NUM_CLASSES=3)
    torch.nn.init.constant_(model.network.class_head.bias, -50.0)
    model.network.class_head.bias.data[2] = 50.0
    with torch.no_grad():
        (result,) = model([example(1)])
    assert result["instances"].pred_classes.tolist() == [2] * 4
    assert "loss_class" in model.train()([example(2, classes=[0, 2])])


def test_classes_by_the_preprocessor():
    model = all_kept(
        MODEL__NUM_CLASSES=3,
        MODEL__RIS__CLASS_SOURCE="preprocessor",
        MODEL__RIS__PREPROCESSOR__SEMANTIC=True,
    )
    assert model.network.class_head is None
    bias = model.preprocessor.head.bias
    bias.data[:4] = torch.tensor([9.0, -9.0, 5.0, -9.0])  # background, then class 1
    with torch.no_grad():
        (result,) = model([example(1)])
        model.options = replace(model.options, background_limit=0.7)
        (strict,) = model([example(1)])
    assert result["instances"].pred_classes.tolist() == [1] * 4
    assert len(strict["instances"]) == 0  # nearly all background


def test_classes_by_a_folder(tmp_path):
    labels = Image.new("L", (40, 32), color=26)
    labels.save(tmp_path / "street_labels.png")
    model = all_kept(
        MODEL__NUM_CLASSES=2,
        MODEL__RIS__CLASS_SOURCE="folder",
        MODEL__RIS__SEMANTIC_FOLDER__PATH=str(tmp_path),
        MODEL__RIS__SEMANTIC_FOLDER__LABEL_IDS=(24, 26),
        MODEL__RIS__SEMANTIC_FOLDER__SUFFIX="_labels",
    )
    with torch.no_grad():
        (result,) = model([example(1, file_name="anywhere/street.png")])
    assert result["instances"].pred_classes.tolist() == [1] * 4
    with pytest.raises(UserError, match="expected a file_name"), torch.no_grad():
        model([example(1)])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"MODEL__RIS__STAGE": "boxes"}, r"STAGE is 'boxes'; expected one of"),
        ({"MODEL__RIS__NORM": "batch"}, r"NORM is 'batch'"),
        (
            {"MODEL__RIS__STAGE": "preprocessor", "MODEL__RIS__PREPROCESSOR__ENABLED": False},
            r"MODEL\.RIS\.STAGE is 'preprocessor'; expected one whose",
        ),
        (
            {"MODEL__RIS__STAGE": "box", "MODEL__RIS__BOX__ENABLED": False},
            r"MODEL\.RIS\.STAGE is 'box'; expected one whose network is enabled",
        ),
        (
            {"MODEL__RIS__STAGE": "box", "MODEL__RIS__LOSS_WEIGHTS__BOX": 0.0},
            r"MODEL\.RIS\.LOSS_WEIGHTS\.BOX is 0\.0; expected above 0",
        ),
        ({"MODEL__RIS__CLASS_SOURCE": "preprocessor"}, r"CLASS_SOURCE is 'preprocessor'; expected"),
        ({"MODEL__RIS__BOX_IOU__MEASURE": "hard"}, r"MODEL\.RIS\.BOX_IOU"),
        ({"MODEL__RIS__PATCH__SIZE": (9, 8)}, r"PATCH\.SIZE is \(9, 8\); expected multiples of 4"),
        ({"MODEL__RIS__CLASS_SOURCE": "folder"}, r"SEMANTIC_FOLDER\.PATH is ''; expected a folder"),
        (
            {
                "MODEL__RIS__CLASS_SOURCE": "folder",
                "MODEL__RIS__SEMANTIC_FOLDER__PATH": "here",
                "MODEL__RIS__SEMANTIC_FOLDER__LABEL_IDS": (1, 2),
            },
            r"SEMANTIC_FOLDER\.LABEL_IDS is \(1, 2\); expected the id of each of the 1 classes",
        ),
    ],
)
def test_wrong_configs_are_refused_by_name(options, message):
    with pytest.raises(UserError, match=message):
        make(**options)
