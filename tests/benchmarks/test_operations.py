"""Time by kinds of operation."""

from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from benchmarks import run
from benchmarks.operations import KINDS, REST, kind_of, milliseconds_by_kind

TINY = [
    *("MODEL.DEVICE", "cpu", "MODEL.SEQUENTIAL.IMAGE_SIZE", "(32, 32)"),
    *("MODEL.SEQUENTIAL.STEPS", "2", "MODEL.SMALL_ENCODER.WIDTHS", "(4, 6)"),
    *("MODEL.RSIS.HIDDEN_WIDTHS", "(6, 4)"),
]


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::mkldnn_convolution", "convolutions"),
        ("aten::convolution_backward", "convolutions"),
        ("aten::native_batch_norm_backward", "norms"),
        ("aten::threshold_backward", "ReLU"),
        ("aten::max_pool2d_with_indices", "pooling"),
        ("aten::bmm", "matrix products"),
        ("aten::copy_", REST),
    ],
)
def test_kinds(operation, kind):
    assert kind_of(operation) == kind


def test_a_convolution_is_most_of_a_network_of_one():
    layer, image = nn.Conv2d(16, 64, 3), torch.randn(1, 16, 64, 64)
    spent = milliseconds_by_kind(lambda: layer(image), torch.device("cpu"))
    assert list(spent) == [*KINDS, REST]
    assert spent["convolutions"] == max(spent.values())


def test_the_table_has_all_kinds_of_both_modes_and_their_sum(tmp_path):
    path = tmp_path / "rows.json"
    options = ["--operations", "--config-file", "rsis_synthetic.yaml", "--batch-size", "1"]
    assert run.main([*options, "--threads", "1", "--output", str(path), *TINY]) == 0
    rows = json.loads(path.read_text())
    for mode in ("inference", "training"):
        *kinds, whole = (row for row in rows if row["mode"] == mode)
        assert [row["operations"] for row in kinds] == [*KINDS, REST]
        assert sum(row["ms"] for row in kinds) == pytest.approx(whole["ms"])
        assert sum(row["share %"] for row in kinds) == pytest.approx(100)
        assert whole["GFLOP"] > 0
        assert 0 < whole["% of matrix peak"] < 100
    inference, training = (row["GFLOP"] for row in rows if row["operations"] == "all")
    assert training > 2 * inference  # of weights and inputs, backward
