import pytest
import torch

from recseg_d2.config import load_config
from recseg_d2.config.device import available_device, usable_device


def test_auto_and_present_devices():
    assert usable_device("auto") == available_device()
    assert usable_device("cpu") == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_config_written_on_a_gpu_works_without_one(caplog):
    assert usable_device("cuda:1") == available_device()
    assert "cuda:1, which is not on this machine" in caplog.text


def test_a_config_has_a_device_that_is_there():
    assert available_device() == load_config("").MODEL.DEVICE
    assert available_device() == load_config("", ["MODEL.DEVICE", "auto"]).MODEL.DEVICE
    assert load_config("", ["MODEL.DEVICE", "cpu"]).MODEL.DEVICE == "cpu"
