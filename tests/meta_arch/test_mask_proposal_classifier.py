from __future__ import annotations

import math

import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances

from recseg_d2.config import get_recseg_cfg
from recseg_d2.errors import UserError

CLASSES = 3


def tiny_cfg(**options):
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "MaskProposalClassifier"
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.NAME = "build_small_encoder_backbone"
    cfg.MODEL.SMALL_ENCODER.WIDTHS = [4, 6, 8]
    cfg.MODEL.NUM_CLASSES = CLASSES
    cfg.MODEL.PROPOSAL_CLASSIFIER.FC_WIDTH = 16
    cfg.MODEL.PROPOSAL_CLASSIFIER.REGION_SIDE = 4
    for key, value in options.items():
        cfg.merge_from_list([key.replace("__", "."), value])
    return cfg


def make(**options):
    torch.manual_seed(0)
    return build_model(tiny_cfg(**options))


def squares(*corners, size=(32, 48), side=8):
    masks = torch.zeros(len(corners), *size, dtype=torch.bool)
    for mask, (y, x) in zip(masks, corners, strict=True):
        mask[y : y + side, x : x + side] = True
    return masks


def example(objects=((0, 0),), proposals=((0, 1), (20, 30)), size=(32, 48), **more):
    """An image with square objects, of class 0, 1 ... in turn, and square proposals."""
    classes = torch.arange(len(objects)) % CLASSES
    truth = Instances(size, gt_masks=BitMasks(squares(*objects, size=size)), gt_classes=classes)
    given = Instances(size, pred_masks=squares(*proposals, size=size))
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    return {"image": image, "instances": truth, "proposals": given, **more}


def test_losses_have_gradients_for_every_parameter():
    model = make(MODEL__PROPOSAL_CLASSIFIER__BOX_PATHWAY=True)
    losses = model([example(), example(objects=((4, 4), (20, 20)))])
    assert set(losses) == {"loss_cls"}
    losses["loss_cls"].backward()
    assert [n for n, p in model.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize(
    ("objects", "proposals"), [((), ()), ((), ((0, 0),)), (((0, 0),), ()), ((), ((3, 3),) * 300)]
)
def test_images_without_objects_or_proposals_train(objects, proposals):
    model = make()
    losses = model([example(objects, proposals)])
    assert losses["loss_cls"].isfinite()
    losses["loss_cls"].backward()
    assert all(p.grad is not None for p in model.parameters())


def test_instances_without_gt_masks_count_as_empty():
    empty = Instances((32, 48), gt_classes=torch.zeros(0, dtype=torch.int64))
    assert make()([{**example(), "instances": empty}])["loss_cls"].isfinite()


def test_first_loss_is_that_of_equal_scores():
    loss = make()([example()])["loss_cls"]
    assert loss.item() == pytest.approx(math.log(CLASSES + 1), abs=0.1)


def samples(model, dict_):
    masks, labels = model._samples(dict_, None)
    return sorted(zip([int(m.nonzero()[0, 1]) for m in masks], labels.tolist(), strict=True))


def test_labels_come_from_mask_overlap():
    """Shifts of an 8 pixel square by 2 overlap it by 6 / 10, by 3 by 5 / 11."""
    model = make()
    dict_ = example(objects=((0, 0), (0, 20)), proposals=((0, 2), (0, 3), (0, 22), (0, 40)))
    expected = [(0, 0), (2, 0), (3, CLASSES), (20, 1), (22, 1), (40, CLASSES)]
    assert samples(model, dict_) == expected
    model = make(MODEL__PROPOSAL_CLASSIFIER__SAMPLING__ADD_GROUND_TRUTH=False)
    assert samples(model, dict_) == [(2, 0), (3, CLASSES), (22, 1), (40, CLASSES)]


def test_the_validation_loss_is_the_same_each_time():
    model = make(MODEL__PROPOSAL_CLASSIFIER__SAMPLING__NUM_PROPOSALS=2).eval()
    dict_ = example(proposals=[(y, x) for y in range(0, 24, 4) for x in range(0, 40, 4)])
    with torch.no_grad():
        values = {float(model.losses([dict_])["loss_cls"]) for _ in range(4)}
    assert len(values) == 1
    model.train()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    with torch.no_grad():
        assert len({float(model([dict_])["loss_cls"]) for _ in range(4)}) > 1


def test_instances_of_the_size_asked_for():
    model = make().eval()
    found = model([example(height=64, width=96), example(proposals=())])
    first, second = (output["instances"] for output in found)
    assert first.image_size == (64, 96)
    assert len(first) == 2 * CLASSES  # untrained: each proposal, well apart, of each class
    assert first.pred_masks.shape[1:] == (64, 96)
    assert first.pred_masks.dtype == torch.bool
    assert first.pred_boxes.tensor[0].tolist() in ([2, 0, 18, 16], [60, 40, 76, 56])
    assert first.pred_classes.dtype == torch.int64
    assert (first.scores[:-1] >= first.scores[1:]).all()
    assert len(second) == 0
    assert second.image_size == (32, 48)
    assert second.pred_masks.shape == (0, 32, 48)


@pytest.mark.parametrize("overlap", ["box", "mask"])
def test_masks_that_overlap_become_one_for_each_class(overlap):
    model = make(MODEL__PROPOSAL_CLASSIFIER__TEST__OVERLAP=overlap).eval()
    (found,) = model([example(proposals=((4, 4), (4, 5), (5, 4)))])
    assert sorted(found["instances"].pred_classes.tolist()) == list(range(CLASSES))
    union = squares((4, 4), (4, 5), (5, 4)).any(dim=0)
    assert not (found["instances"].pred_masks & ~union).any()


def test_box_and_mask_overlap_differ():
    """A frame and the square in its middle: boxes overlap by a quarter, masks not at all."""
    frame = torch.zeros(2, 32, 48, dtype=torch.bool)
    frame[0, 4:20, 4:20] = True
    frame[0, 8:16, 8:16] = False
    frame[1, 8:16, 8:16] = True
    for overlap, expected in (("box", CLASSES), ("mask", 2 * CLASSES)):
        model = make(
            MODEL__PROPOSAL_CLASSIFIER__TEST__OVERLAP=overlap,
            MODEL__PROPOSAL_CLASSIFIER__TEST__NMS_THRESH=0.2,
        ).eval()
        dict_ = {**example(), "proposals": Instances((32, 48), pred_masks=frame)}
        assert len(model([dict_])[0]["instances"]) == expected


def test_resolution_of_the_proposals_does_not_matter():
    model = make().eval()
    dict_ = example(proposals=((0, 8), (16, 24)))
    finer = dict_["proposals"].pred_masks.repeat_interleave(2, 1).repeat_interleave(2, 2)
    other = {**dict_, "proposals": Instances((64, 96), pred_masks=finer)}
    with torch.no_grad():
        logits = [model.class_logits([d], [d["proposals"].pred_masks]) for d in (dict_, other)]
    torch.testing.assert_close(*logits)


def test_a_batch_gives_what_its_images_give_alone():
    """Padding to the largest image of the batch changes nothing far from it."""
    model = make().eval()
    dicts = [example(size=(32, 48)), example(proposals=((0, 0), (8, 8), (16, 16)), size=(32, 48))]
    together = model(dicts)
    for dict_, output in zip(dicts, together, strict=True):
        alone = model([dict_])[0]["instances"]
        torch.testing.assert_close(output["instances"].scores, alone.scores)
        torch.testing.assert_close(output["instances"].pred_masks, alone.pred_masks)


def test_sizes_that_are_no_multiple_of_the_stride_and_differ():
    model = make()
    dicts = [example(size=(30, 41)), example(size=(33, 47))]
    assert model(dicts)["loss_cls"].isfinite()
    found = model.eval()(dicts)
    assert [output["instances"].image_size for output in found] == [(30, 41), (33, 47)]


def test_the_feature_is_chosen_by_name():
    assert (make().feature, make().stride) == ("s8", 8)  # the coarsest
    model = make(MODEL__PROPOSAL_CLASSIFIER__FEATURE="s2")
    assert model.stride == 2
    assert model([example()])["loss_cls"].isfinite()
    with pytest.raises(UserError, match="FEATURE is 'res4'; expected one of s2, s4, s8"):
        make(MODEL__PROPOSAL_CLASSIFIER__FEATURE="res4")


@pytest.mark.parametrize("names", [("features.0", "classifier.3"), ("conv1_1", "fc7")])
def test_imagenet_weights_of_vgg_reach_backbone_and_classifier(names):
    options = {"MODEL__BACKBONE__NAME": "build_vgg16_conv5_backbone", "MODEL__VGG16__STRIDE": 16}
    model = make(**options)
    given = {
        f"{names[0]}.weight": torch.randn(64, 3, 3, 3),
        f"{names[1]}.weight": torch.randn(16, 16),
    }
    model.load_state_dict(given, strict=False)
    taken = [model.backbone.features[0].weight, model.classifier.mask_pathway[4].weight]
    for parameter, value in zip(taken, given.values(), strict=True):
        torch.testing.assert_close(parameter.detach(), value)


def test_the_backbone_of_a_trained_instance_fcn_is_taken():
    options = {"MODEL__BACKBONE__NAME": "build_small_fpn_backbone"}
    cfg = tiny_cfg(**options)
    cfg.MODEL.META_ARCHITECTURE = "InstanceFCNProposal"
    model = make(**options)
    proposer = build_model(cfg)
    wanted = proposer.network.backbone.backbone.state_dict()
    own = model.backbone.state_dict()
    assert not all(torch.equal(own[name], value) for name, value in wanted.items())
    missing = model.load_state_dict(proposer.state_dict(), strict=False).missing_keys
    assert all(name.startswith("classifier.") for name in missing)
    torch.testing.assert_close(dict(model.backbone.state_dict()), dict(wanted))


def test_what_is_missing_is_named():
    dict_ = example(file_name="a.png")
    del dict_["proposals"]
    for model in (make(), make().eval()):
        with pytest.raises(
            UserError, match=r"a\.png: came without proposals.*PROPOSAL_FILES_TRAIN"
        ):
            model([dict_])
    with pytest.raises(UserError, match="OVERLAP is 'pixel'; expected one of box, mask"):
        make(MODEL__PROPOSAL_CLASSIFIER__TEST__OVERLAP="pixel")
