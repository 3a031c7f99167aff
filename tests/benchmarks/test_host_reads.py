"""Which calls count as waiting for a device."""

from __future__ import annotations

import pytest
import torch

from benchmarks.host_reads import HostReads

HERE = torch.device("cpu")


@pytest.mark.parametrize(
    "wait",
    [
        lambda x: x.sum().item(),
        lambda x: x.tolist(),
        lambda x: x.cpu(),
        lambda x: x.to("cpu"),
        lambda x: bool(x.any()),
        lambda x: int(x.sum()),
        lambda x: x.nonzero(),
        lambda x: torch.nonzero(x),
        lambda x: torch.where(x > 0),
        lambda x: x[x > 1],
        lambda x: x.unique(),
        lambda x: torch.equal(x, x),
        lambda x: x.numpy(),
    ],
)
def test_values_of_the_device_are_waited_for(wait):
    with HostReads() as found:
        wait(torch.arange(3).to(HERE) * 2)
    assert found.reads.total() == 1


def test_what_is_computed_of_a_read_value_is_the_hosts():
    with HostReads() as found:
        copy = torch.arange(3.0).to(HERE).cpu()
        (copy * 2).tolist()
    assert found.reads.total() == 1


@pytest.mark.parametrize(
    "run",
    [
        lambda x: x[:, :1] + x.sum(),
        lambda x: torch.where(x > 0, x, 0),
        lambda x: x.argsort(dim=1)[:, torch.tensor([0])],
        lambda x: torch.nn.functional.relu(x).float().softmax(1),
        lambda x: len(x) + x.shape[0],
    ],
)
def test_what_the_device_does_alone_is_not(run):
    with HostReads() as found:
        run(torch.ones(2, 3, device=HERE))
    assert not found.reads


def test_tensors_of_the_host_are_no_device():
    with HostReads() as found:
        torch.arange(3).tolist()
        torch.tensor([1, 2]).sum().item()
    assert not found.reads
    assert not found.uploads


@pytest.mark.parametrize(
    "copy",
    [
        lambda x: x.new_tensor([1.0]),
        lambda x: torch.tensor([1.0], device=HERE),
        lambda x: torch.as_tensor([1.0], device=HERE),
        lambda x: torch.zeros(1).to(HERE),
    ],
)
def test_numbers_of_the_host_are_copied(copy):
    with HostReads() as found:
        x = torch.ones(2, device=HERE)
        x + copy(x)
    assert found.uploads.total() == 1


def test_a_place_is_a_function_of_the_package():
    from recseg_d2.layers.matching import assign

    with HostReads() as found:
        assign(torch.rand(1, 2, 2, device=HERE), torch.tensor([2]).to(HERE))
    assert found.reads == {"layers.matching.assign": 1}
