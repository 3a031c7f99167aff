import pytest
import torch

from recseg_d2.layers.small_encoder import SmallEncoder, SmallEncoderOptions
from recseg_d2.layers.vgg import VGG16


@pytest.mark.parametrize("coordinates", [False, True])
def test_small_encoder_has_a_level_an_octave(coordinates):
    features = SmallEncoder(SmallEncoderOptions((4, 6, 8), coordinates))(torch.randn(2, 3, 32, 48))
    assert [tuple(f.shape) for f in features] == [
        (2, 4, 16, 24),
        (2, 6, 8, 12),
        (2, 8, 4, 6),
    ]


def test_small_encoder_takes_odd_sizes():
    features = SmallEncoder(SmallEncoderOptions((4, 6)))(torch.randn(1, 3, 33, 47))
    assert [tuple(f.shape[2:]) for f in features] == [(17, 24), (9, 12)]


def test_vgg_has_torchvisions_names_and_features_after_each_pool():
    model = VGG16()
    names = [n for n in model.state_dict() if n.endswith("weight")]
    indices = [0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28]
    assert names == [f"features.{i}.weight" for i in indices]
    assert model.state_dict()["features.28.weight"].shape == (512, 512, 3, 3)
    with torch.no_grad():
        features = model(torch.randn(1, 3, 64, 64))
    assert [f.shape[1] for f in features] == [64, 128, 256, 512, 512]
    assert [f.shape[2] for f in features] == [32, 16, 8, 4, 2]
