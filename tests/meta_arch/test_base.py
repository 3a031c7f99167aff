"""What all meta-architectures share: any number of channels, one dtype, one form of output."""

from __future__ import annotations

import pytest
import torch
from detectron2.evaluation.coco_evaluation import instances_to_coco_json
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances

from recseg_d2.config import load_config
from recseg_d2.config.options import ModelOptions
from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.meta_arch.base import MetaArchitecture, make_instances, output_size

SIZE = (32, 48)
MODELS = {
    "rsis_small.yaml": ["MODEL.SMALL_ENCODER.WIDTHS", (4, 6, 8, 8)],
    "ris_small.yaml": ["MODEL.RIS.BOX.WIDTHS", (4,), "MODEL.RIS.BOX.POOLS", (4,)],
    "instancefcn_small.yaml": [
        *("MODEL.INSTANCE_FCN.TEST.SCALES", (32,)),
        *("MODEL.INSTANCE_FCN.TEST.INSTANCE_SCORE_THRESH", 0.0),
    ],
    "dense_small.yaml": [
        *("MODEL.DENSE_ATTENTION.TEST.HEAT_THRESH", 0.0),
        *("MODEL.DENSE_ATTENTION.TEST.SCORE_THRESH", 0.0),
        *("MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", 3),
    ],
    "instancefcn_classifier_synthetic.yaml": ["MODEL.PROPOSAL_CLASSIFIER.FC_WIDTH", 16],
}
SMALL = [
    *("MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "MODEL.SEQUENTIAL.IMAGE_SIZE", SIZE),
    *("MODEL.SEQUENTIAL.STEPS", 2, "MODEL.SEQUENTIAL.TEST.SCORE_THRESH", 0.0),
    *("MODEL.SEQUENTIAL.TEST.MASK_THRESH", 0.0),
    *("MODEL.SMALL_FPN.WIDTHS", (8, 8, 8, 8), "MODEL.SMALL_FPN.OUT_WIDTH", 8),
]


def make(name, *opts):
    torch.manual_seed(0)
    return build_model(load_config(name, [*SMALL, *MODELS[name], *opts]))


def example(channels=3):
    torch.manual_seed(1)
    masks = torch.zeros(1, *SIZE, dtype=torch.bool)
    masks[0, 6:20, 8:22] = True
    truth = Instances(SIZE, gt_masks=BitMasks(masks), gt_classes=torch.tensor([0]))
    image = torch.randint(0, 256, (channels, *SIZE), dtype=torch.uint8)
    return {"image": image, "instances": truth, "proposals": Instances(SIZE, pred_masks=masks)}


BOXES = "MODEL.SEQUENTIAL.TEST.BOXES"


@pytest.mark.parametrize(
    ("name", "more"), [("rsis_small.yaml", ["MODEL.RSIS.BOX_HEAD", True]), ("ris_small.yaml", [])]
)
def test_boxes_of_the_model_itself_are_kept_and_may_stand_for_the_masks(name, more):
    given = {**example(), "height": 64, "width": 144}
    plain, own = make(name, *more).eval(), make(name, *more, BOXES, "predicted").eval()
    own.load_state_dict(plain.state_dict())
    with torch.no_grad():
        tight, predicted = (model([given])[0]["instances"] for model in (plain, own))
        sequence = plain.run_sequence(plain.images([given]), 2)
    corners = sequence.boxes[0, predicted.step] * torch.tensor([144.0, 64.0, 144.0, 64.0])
    expected = torch.stack([corners[:, k].clamp(0, (144, 64)[k % 2]) for k in range(4)], dim=1)
    assert len(predicted) > 0
    torch.testing.assert_close(predicted.pred_boxes.tensor, expected)
    torch.testing.assert_close(tight.regressed_boxes.tensor, expected)
    assert torch.equal(tight.pred_boxes.tensor, masks_to_boxes(tight.pred_masks))
    (result,) = instances_to_coco_json(predicted, 1)[:1]
    x1, y1, x2, y2 = expected[0].tolist()
    assert result["bbox"] == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=1e-3)


def test_boxes_of_a_model_without_any_are_refused():
    model = make("rsis_small.yaml", BOXES, "predicted").eval()
    with pytest.raises(UserError, match=r"TEST\.BOXES is predicted, but .*masks alone"):
        model([example()])


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("channels", [1, 4])
def test_images_may_have_any_number_of_channels(name, channels):
    shares = ["MODEL.PIXEL_MEAN", [100.0] * channels, "MODEL.PIXEL_STD", [50.0] * channels]
    model = make(name, *shares)
    sum(model([example(channels)]).values()).backward()
    with torch.no_grad():
        (result,) = model.eval()([example(channels)])
    assert result["instances"].image_size == SIZE
    message = rf"has 3 channels; expected the {channels} of MODEL\.PIXEL_MEAN"
    with pytest.raises(UserError, match=message), torch.no_grad():
        model([example(3)])


@pytest.mark.parametrize("name", ["dense_small.yaml", "instancefcn_small.yaml"])
def test_masks_are_magnified_as_the_image_is(name):
    model = make(name, "INPUT.RESIZE", "scale", "INPUT.SCALE", 0.5)
    given = example()
    masks = model.true_masks(given)
    assert masks.shape[1:] == model.unit_image(given).shape[1:] == (SIZE[0] // 2, SIZE[1] // 2)
    assert masks.nonzero().min(0)[0].tolist() == [0, 3, 4]
    assert masks.sum() == 7 * 7
    assert model.true_masks({**given, "prepared": True}).sum() == 14 * 14
    assert sum(model.eval().losses([given]).values()).isfinite()


def test_mean_and_deviation_are_of_the_same_channels():
    with pytest.raises(UserError, match=r"PIXEL_MEAN has 3 values and MODEL\.PIXEL_STD 1"):
        make("rsis_small.yaml", "MODEL.PIXEL_STD", [1.0])


@pytest.mark.parametrize("name", MODELS)
def test_bfloat16_is_close_to_float32_and_trains(name):
    plain, short = make(name), make(name, "MODEL.PRECISION", "bfloat16")
    losses = []
    for model in (plain, short):
        torch.manual_seed(2)
        losses.append(model([example()]))
    for term, value in losses[0].items():
        assert losses[1][term].dtype == torch.float32
        torch.testing.assert_close(losses[1][term], value, rtol=0.03, atol=0.03)
    sum(losses[1].values()).backward()
    assert all(p.grad is not None for p in short.parameters() if p.requires_grad)
    with torch.no_grad():
        found = [model.eval()([example()])[0]["instances"] for model in (plain, short)]
    assert found[1].scores.dtype == torch.float32
    assert not torch.equal(found[0].scores, found[1].scores)  # it did run in another type
    torch.testing.assert_close(found[0].scores[:1], found[1].scores[:1], rtol=0.03, atol=0.03)


class Percentiles(MetaArchitecture):
    """Normalises in its own way."""

    def normalised(self, image):
        low, high = image.float().quantile(torch.tensor([0.0, 1.0]))
        return (image.float() - low) / (high - low)

    def losses(self, batched_inputs):
        return {"loss": self.normalised(batched_inputs[0]["image"]).mean()}


def test_a_model_may_normalise_in_its_own_way():
    model = Percentiles(model_options=ModelOptions(), pixel_mean=[0.0], pixel_std=[1.0])
    image = torch.tensor([[[10, 20], [15, 15]]], dtype=torch.uint8)
    assert model([{"image": image}]) == {"loss": 0.5}
    assert (model.in_channels, model.device) == (1, torch.device("cpu"))
    with pytest.raises(TypeError, match="Percentiles has to define inference"):
        model.eval()([{"image": image}])


def test_instances_have_tight_boxes_and_a_rank():
    masks = torch.zeros(2, 5, 6, dtype=torch.bool)
    masks[0, 1:3, 2:6] = True
    scores, classes = torch.tensor([0.9, 0.1]), torch.tensor([3, 0])
    found = make_instances(masks, scores, classes)
    assert found.image_size == (5, 6)
    assert found.pred_boxes.tensor.tolist() == [[2, 1, 6, 3], [0, 0, 0, 0]]
    assert found.step.tolist() == [0, 1]
    assert make_instances(masks, scores, classes, torch.tensor([4, 7])).step.tolist() == [4, 7]


def test_output_size_is_the_dicts_or_the_images():
    image = torch.zeros(3, 4, 5)
    assert output_size({"image": image}) == (4, 5)
    assert output_size({"image": image, "height": 8, "width": 10}) == (8, 10)
