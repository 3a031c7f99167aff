from __future__ import annotations

from types import SimpleNamespace

import pytest

from benchmarks.peers.yolo import set_rate, training_size


@pytest.mark.parametrize(("share", "factor"), [(0, 1), (0.5, 0.505), (0.9, 0.109), (1.2, 0.01)])
def test_the_rate_falls_with_the_time_to_a_hundredth(share, factor):
    groups = [{"initial_lr": 0.002, "lr": 7.0}, {"initial_lr": 0.5, "lr": 0.0}]
    trainer = SimpleNamespace(
        args=SimpleNamespace(lrf=0.01), optimizer=SimpleNamespace(param_groups=groups)
    )
    set_rate(trainer, share)
    assert [g["lr"] for g in groups] == pytest.approx([0.002 * factor, 0.5 * factor])


def test_the_training_size_is_a_multiple_of_32_and_at_least_128():
    assert training_size([(96, 96)] * 3) == 128
    assert training_size([(100, 130), (130, 170), (40, 900)]) == 192
