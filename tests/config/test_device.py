from types import SimpleNamespace

import pytest
import torch

from recseg_d2.config.device import available_device, resolve_device


def config(device):
    return SimpleNamespace(MODEL=SimpleNamespace(DEVICE=device))


def test_auto_and_present_devices():
    assert resolve_device(config("auto")) == available_device()
    assert resolve_device(config("cpu")) == "cpu"


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_a_config_written_on_a_gpu_works_without_one(caplog):
    assert resolve_device(config("cuda:1")) == available_device()
    assert "cuda:1, which is not on this machine" in caplog.text
