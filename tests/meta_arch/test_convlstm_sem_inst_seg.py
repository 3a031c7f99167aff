import copy
from dataclasses import replace

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances

from recseg_d2.config import get_recseg_cfg
from recseg_d2.errors import UserError


def tiny_cfg(**options):
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "ConvLSTMSemInstSeg"
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.NAME = "build_small_encoder_backbone"
    cfg.MODEL.SMALL_ENCODER.WIDTHS = [4, 6, 8]
    cfg.MODEL.RSIS.HIDDEN_WIDTHS = [6, 4, 4]
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (32, 48)
    cfg.MODEL.SEQUENTIAL.STEPS = 4
    for key, value in options.items():
        cfg.merge_from_list([key.replace("__", "."), value])
    return cfg


def make(**options):
    torch.manual_seed(0)
    return build_model(tiny_cfg(**options))


def example(count, size=(32, 48), classes=None, **more):
    masks = torch.zeros(count, *size, dtype=torch.bool)
    for i in range(count):
        masks[i, 2 * i : 2 * i + 2] = True
    instances = Instances(size)
    instances.gt_masks = BitMasks(masks)
    instances.gt_classes = torch.tensor(classes or [0] * count, dtype=torch.int64)
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    return {"image": image, "instances": instances, **more}


def test_losses_have_gradients_for_every_trainable_parameter():
    model = make(MODEL__NUM_CLASSES=3)
    losses = model([example(2, classes=[0, 2]), example(0)])
    assert set(losses) == {"loss_mask", "loss_box", "loss_class", "loss_stop"}
    sum(losses.values()).backward()
    missing = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert missing == []


@pytest.mark.parametrize("counts", [(0,), (0, 0), (1, 0)])
def test_images_without_objects_train(counts):
    losses = make()([example(c) for c in counts])
    assert all(torch.isfinite(v) for v in losses.values())
    sum(losses.values()).backward()


def test_instances_without_gt_masks_count_as_empty():
    empty = Instances((32, 48), gt_classes=torch.zeros(0, dtype=torch.int64))
    losses = make()([{**example(0), "instances": empty}])
    assert losses["loss_mask"].item() == 0.0


def test_more_objects_than_steps_train_on_the_largest():
    model = make()
    targets = model.targets([example(9)])
    assert targets.counts.tolist() == [4]
    assert torch.isfinite(model([example(9)])["loss_mask"])


def test_heads_without_a_loss_are_frozen():
    model = make(MODEL__NUM_CLASSES=3, MODEL__RSIS__LOSS_WEIGHTS__CLS=0.0)
    assert not any(p.requires_grad for p in model.decoder.class_head.parameters())
    assert all(p.requires_grad for p in model.decoder.stop_head.parameters())
    assert "loss_class" not in model([example(1)])


def test_switched_off_heads_have_no_parameters():
    model = make(MODEL__RSIS__BOX_HEAD=False)
    assert model.decoder.box_head is None
    assert model.decoder.class_head is None


def test_step_limit_shortens_training_only():
    model = make()
    model.step_limit = 1
    seen = []
    model.decoder.register_forward_hook(lambda m, args, out: seen.append(out.steps))
    model([example(3)])
    model.eval()
    model.test_options = replace(model.test_options, score_thresh=0.0)
    with torch.no_grad():
        model([example(3)])
    assert seen == [1, 4]


def test_steps_are_run_for_those_images_only_that_need_them():
    model = make(MODEL__NUM_CLASSES=3)
    batch = [example(1, classes=[2]), example(0), example(3, classes=[0, 1, 2])]
    targets = model.targets(batch)
    whole = model.sequence_losses(model.run_sequence(model.images(batch), 4), targets)
    packed = model.losses(batch)
    names, parameters = zip(*model.named_parameters(), strict=True)
    grads = [torch.autograd.grad(sum(x.values()), parameters) for x in (whole, packed)]
    for name, value in whole.items():
        torch.testing.assert_close(packed[name], value)
    for name, a, b in zip(names, *grads, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-6, msg=name)


def test_training_runs_one_step_more_than_objects():
    model = make()
    seen = []
    model.decoder.register_forward_hook(lambda m, args, out: seen.append(out.steps))
    model([example(1), example(2)])
    assert seen == [3]


def test_predictions_have_the_size_that_the_dict_asks_for():
    model = make(MODEL__SEQUENTIAL__TEST__SCORE_THRESH=0.0).eval()
    with torch.no_grad():
        first, second = model([example(1, height=70, width=50), example(1, size=(20, 30))])
    assert first["instances"].image_size == (70, 50)
    assert first["instances"].pred_masks.shape[1:] == (70, 50)
    assert second["instances"].image_size == (20, 30)
    found = first["instances"]
    for mask, box in zip(found.pred_masks, found.pred_boxes.tensor, strict=True):
        ys, xs = mask.nonzero(as_tuple=True)
        assert box.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]
    assert found.pred_masks.dtype == torch.bool
    assert found.step.tolist() == sorted(found.step.tolist())


def test_each_mask_is_predicted_once_with_a_score_of_every_class():
    model = make(MODEL__SEQUENTIAL__TEST__SCORE_THRESH=0.0, MODEL__NUM_CLASSES=3).eval()
    with torch.no_grad():
        (output,) = model([example(1)])
    found = output["instances"]
    assert len(found) > 0
    assert found.class_scores.shape == (len(found), 3)
    assert found.step.unique().tolist() == found.step.tolist()
    best = found.class_scores.max(dim=1)
    assert torch.equal(found.scores, best.values)
    assert torch.equal(found.pred_classes, best.indices)


def test_nothing_predicted():
    model = make().eval()
    torch.nn.init.constant_(model.decoder.stop_head.bias, -50.0)
    with torch.no_grad():
        (result,) = model([example(1)])
    assert len(result["instances"]) == 0
    assert result["instances"].pred_masks.shape == (0, 32, 48)


def test_a_batch_gives_what_single_images_give():
    model = make().eval()
    inputs = [example(1), example(2)]
    with torch.no_grad():
        together = model(inputs)
        alone = [model([x])[0] for x in inputs]
    for a, b in zip(together, alone, strict=True):
        assert torch.equal(a["instances"].pred_masks, b["instances"].pred_masks)


def test_a_working_size_that_is_no_multiple_of_the_strides():
    model = make(MODEL__SEQUENTIAL__IMAGE_SIZE=(37, 51))
    losses = model([example(2)])
    assert torch.isfinite(losses["loss_mask"])


def test_wider_backbones_than_decoders_leave_out_the_finest_levels():
    model = make(MODEL__RSIS__HIDDEN_WIDTHS=[6, 4])
    assert model.levels == ["s8", "s4"]
    assert model(copy.deepcopy([example(1)]))["loss_mask"] > 0


def test_it_learns_one_image_by_heart():
    model = make(MODEL__RSIS__HIDDEN_WIDTHS=[16, 12, 8])
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    batch = [example(2)]
    first = None
    for _ in range(60):
        losses = model(batch)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        first = first or losses["loss_mask"].item()
    assert losses["loss_mask"].item() < 0.4 * first


def test_bfloat16_is_close_to_float32_and_trains():
    plain, short = make(), make(MODEL__PRECISION="bfloat16")
    batch = [example(2), example(0)]
    expected, found = plain(batch), short(batch)
    for name, value in expected.items():
        assert found[name].dtype == torch.float32
        torch.testing.assert_close(found[name], value, rtol=0.02, atol=0.02)
    sum(found.values()).backward()
    assert all(p.grad is not None for p in short.parameters())


def test_an_unknown_precision_is_refused():
    with pytest.raises(UserError, match="PRECISION is 'float8'"):
        make(MODEL__PRECISION="float8")
