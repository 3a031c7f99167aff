"""``Predictor`` against ``DefaultPredictor``, batching, and what it refuses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.engine import DefaultPredictor
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import Boxes, Instances
from PIL import Image
from torch import nn

from recseg_d2.config import get_recseg_cfg
from recseg_d2.engine.predictor import Predictor
from recseg_d2.engine.weights import load_weights
from recseg_d2.errors import UserError

ARCHITECTURE = "BrightChannels"


@META_ARCH_REGISTRY.register()
class BrightChannels(nn.Module):
    """An instance for each channel that has pixels above a learned threshold."""

    def __init__(self, cfg) -> None:
        super().__init__()
        self.threshold = nn.Parameter(torch.tensor(0.0))
        self.batch_sizes: list[int] = []

    def forward(self, batched_inputs):
        self.batch_sizes.append(len(batched_inputs))
        return [{"instances": self._instances(x)} for x in batched_inputs]

    def _instances(self, dict_) -> Instances:
        size = (dict_["height"], dict_["width"])
        image = dict_["image"].float()
        masks = nn.functional.interpolate(image[None], size=size)[0] > self.threshold
        found = masks.flatten(1).any(1).nonzero()[:, 0]
        return Instances(
            size,
            pred_masks=masks[found],
            pred_boxes=Boxes(torch.zeros(len(found), 4)),
            scores=image.flatten(1).mean(1)[found],
            pred_classes=torch.zeros_like(found),
            step=found,
        )


@pytest.fixture
def cfg(tmp_path):
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = ARCHITECTURE
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.WEIGHTS = str(tmp_path / "weights.pth")
    torch.save({"model": {"threshold": torch.tensor(128.0)}}, cfg.MODEL.WEIGHTS)
    return cfg


@pytest.fixture
def arrays() -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    shapes = [(5, 7, 3), (6, 6, 3), (1, 1, 3), (9, 4, 3)]
    return [rng.integers(0, 255, shape, dtype=np.uint8) for shape in shapes]


def assert_same(ones: Instances, others: Instances) -> None:
    assert ones.image_size == others.image_size
    assert set(ones.get_fields()) == set(others.get_fields())
    for name in ("pred_masks", "scores", "pred_classes", "step"):
        assert torch.equal(ones.get(name), others.get(name)), name


@pytest.mark.parametrize("image_format", ["BGR", "RGB"])
@pytest.mark.parametrize("batch_size", [1, 3])
@pytest.mark.parametrize("min_size", [0, 12])
def test_same_numbers_as_default_predictor(cfg, arrays, image_format, batch_size, min_size):
    cfg.INPUT.FORMAT, cfg.INPUT.MIN_SIZE_TEST = image_format, min_size
    expected = DefaultPredictor(cfg)
    found = list(Predictor(cfg, batch_size)(arrays))
    assert len(found) == len(arrays)
    for array, instances in zip(arrays, found, strict=True):
        assert_same(instances, expected(array)["instances"])


def test_channel_order_is_the_configs(cfg):
    red = np.zeros((4, 4, 3), dtype=np.uint8)
    red[..., 2] = 200  # BGR
    cfg.INPUT.FORMAT = "RGB"
    assert next(Predictor(cfg)([red])).step.tolist() == [0]
    cfg.INPUT.FORMAT = "BGR"
    assert next(Predictor(cfg)([red])).step.tolist() == [2]


def test_paths_and_arrays_give_the_same(cfg, arrays, tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(arrays[0][:, :, ::-1]).save(path)
    predictor = Predictor(cfg, batch_size=2)
    of_path, of_text, of_array = predictor([path, str(path), arrays[0]])
    assert_same(of_path, of_array)
    assert_same(of_text, of_array)
    assert predictor.model.batch_sizes == [2, 1]


def test_nothing_in_nothing_out_and_nothing_found(cfg):
    predictor = Predictor(cfg, batch_size=2)
    assert list(predictor([])) == []
    assert len(next(predictor([np.zeros((3, 3, 3), np.uint8)]))) == 0


def test_images_are_read_only_when_asked_for(cfg, arrays):
    def endless():
        while True:
            yield arrays[0]

    found = Predictor(cfg, batch_size=3)(endless())
    assert [len(next(found).scores) for _ in range(4)] == [3, 3, 3, 3]


def test_the_config_is_not_changed(cfg, arrays):
    before = cfg.dump()
    cfg.freeze()
    next(Predictor(cfg)(arrays))
    assert cfg.dump() == before
    assert cfg.is_frozen()


def test_missing_weights_are_refused(cfg, tmp_path):
    cfg.MODEL.WEIGHTS = ""
    with pytest.raises(UserError, match=r"MODEL\.WEIGHTS is empty; name"):
        Predictor(cfg)
    cfg.MODEL.WEIGHTS = str(tmp_path / "none.pth")
    with pytest.raises(UserError, match=r"none\.pth; name a checkpoint"):
        Predictor(cfg)


@pytest.mark.parametrize("content", [b"", b"no checkpoint"])
def test_damaged_weights_are_refused(cfg, content):
    with open(cfg.MODEL.WEIGHTS, "wb") as file:
        file.write(content)
    with pytest.raises(UserError, match="cannot be read as a checkpoint"):
        Predictor(cfg)


@pytest.mark.parametrize("state", [{"other": torch.zeros(1)}, {"threshold": torch.zeros(2)}])
def test_weights_of_another_model_are_refused(cfg, state):
    torch.save({"model": state}, cfg.MODEL.WEIGHTS)
    with pytest.raises(UserError, match=r"none of its 1 weights \(.*fits the model"):
        Predictor(cfg)


def test_weights_of_a_part_of_the_model_are_refused(cfg):
    model = Predictor(cfg).model
    model.other = torch.nn.Parameter(torch.zeros(1))
    with pytest.raises(UserError, match=r"no fitting value for 1 parameters of the model \(other"):
        load_weights(model, cfg.MODEL.WEIGHTS)


@pytest.mark.parametrize(
    "array",
    [np.zeros((4, 4, 3), np.float32), np.zeros((4, 4), np.uint8), np.zeros((0, 4, 3), "u1")],
)
def test_other_arrays_are_refused(cfg, array):
    with pytest.raises(UserError, match=str(array.dtype)):
        next(Predictor(cfg)([array]))


def test_batch_size_zero_is_refused(cfg):
    with pytest.raises(UserError, match="Batch size is 0"):
        Predictor(cfg, batch_size=0)
