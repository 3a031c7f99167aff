"""TEST.FLIPS and ensembles: views are flipped back, and what is found in them is one set."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.engine import DefaultTrainer
from detectron2.structures import Instances
from torch import nn

from recseg_d2.config import get_recseg_cfg
from recseg_d2.engine.flips import FlippedViews, with_flips
from recseg_d2.engine.trainer import Trainer
from recseg_d2.errors import UserError
from recseg_d2.meta_arch.base import make_instances
from recseg_d2.structures import LabelMapMasks

SIZE = (6, 8)


class Bright(nn.Module):
    """Each channel above 100 is an object; blind in the leftmost ``blind`` columns."""

    def __init__(self, blind: int = 0, as_label_map: bool = False) -> None:
        super().__init__()
        self.blind, self.as_label_map, self.seen = blind, as_label_map, []

    def forward(self, batched_inputs):
        return [self._output(dict_["image"]) for dict_ in batched_inputs]

    def _output(self, image):
        self.seen.append(image)
        masks = image > 100
        masks[..., : self.blind] = False
        masks = masks[masks.flatten(1).any(1)]
        scores = torch.linspace(0.9, 0.5, 3)[: len(masks)]
        if self.as_label_map:
            masks = LabelMapMasks(
                (masks * torch.arange(1, len(masks) + 1)[:, None, None]).amax(0),
                torch.arange(1, len(masks) + 1),
            )
        found = make_instances(masks, scores, torch.zeros(len(scores)).long())
        return {"instances": found, "more": "kept"}


def image():
    pixels = torch.zeros(3, *SIZE)
    pixels[0, 1:3, 0:3] = pixels[1, 4:6, 5:8] = 200
    return pixels


def masks(instances: Instances) -> list[np.ndarray]:
    return [np.asarray(mask) for mask in instances.pred_masks]


@pytest.mark.parametrize("as_label_map", [True, False])
@pytest.mark.parametrize("flips", [["horizontal"], ["vertical"], ["horizontal", "vertical"]])
def test_a_model_that_does_not_care_finds_the_same(flips, as_label_map):
    model = Bright(as_label_map=as_label_map)
    (plain,) = model([{"image": image()}])
    model.seen.clear()
    (output,) = FlippedViews(model, flips)([{"image": image()}])
    views = {seen.numpy().tobytes() for seen in model.seen}
    assert len(views) == 2 ** len(flips)
    found, expected = output["instances"], plain["instances"]
    assert isinstance(found.pred_masks, type(expected.pred_masks))
    for one, other in zip(masks(found), masks(expected), strict=True):
        np.testing.assert_array_equal(one, other)
    torch.testing.assert_close(found.scores, expected.scores)
    assert torch.equal(found.pred_boxes.tensor, expected.pred_boxes.tensor)
    assert output["more"] == "kept"


def test_what_one_view_misses_is_found_with_half_the_score():
    views = FlippedViews(Bright(blind=3), ["horizontal"])
    (output,) = views([{"image": image()}])
    found = output["instances"]
    assert len(masks(found)) == 2  # plain misses the red one, flipped the green one
    assert found.scores.tolist() == pytest.approx([0.45, 0.45])


def test_without_flips_the_model_is_itself():
    model, cfg = Bright(), get_recseg_cfg()
    assert with_flips(model, cfg) is model
    cfg.TEST.FLIPS = ["vertical"]
    assert isinstance(with_flips(model, cfg), FlippedViews)
    cfg.TEST.FLIPS = ["diagonal"]
    with pytest.raises(UserError, match=r"TEST\.FLIPS is 'diagonal'; expected one of horizontal"):
        with_flips(model, cfg)


def test_evaluation_leaves_the_model_in_its_mode():
    model = Bright().train()
    views = FlippedViews(model, ["vertical"])
    was = views.training
    views.eval()
    assert not model.training
    views.train(was)
    assert model.training


def test_what_does_not_flip_with_the_image_is_refused():
    model = Bright()
    given = {"image": image(), "proposals": Instances(SIZE)}
    with pytest.raises(UserError, match=r"TEST\.FLIPS is for models that find objects themselves"):
        FlippedViews(model, ["vertical"])([given])
    model.semantic_folder = "folder"
    with pytest.raises(UserError, match=r"TEST\.FLIPS cannot flip the files of"):
        FlippedViews(model, ["vertical"])


def test_evaluation_in_training_has_the_flipped_views(monkeypatch):
    seen = []
    monkeypatch.setattr(
        DefaultTrainer, "test", classmethod(lambda cls, cfg, model, evaluators: seen.append(model))
    )
    cfg = get_recseg_cfg()
    cfg.TEST.FLIPS = ["horizontal"]
    Trainer.test(cfg, Bright())
    assert isinstance(seen[0], FlippedViews)
