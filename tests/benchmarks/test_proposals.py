"""InstanceFCN as a whole beside its literal form: the same proposals; times are not asserted."""

from __future__ import annotations

import json

import pytest

from benchmarks.proposals import main
from recseg_d2.cli import run

TINY = [
    *("--config-file", "instancefcn_synthetic.yaml", "--image-size", "32", "32"),
    *("--repeats", "1", "MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", "64", "MODEL.DEVICE", "cpu"),
    *("MODEL.INSTANCE_FCN.TEST.SCALES", "(24, 36, 40)"),
]


def test_both_forms_find_the_same(tmp_path):
    out = tmp_path / "numbers.json"
    assert run(main, [*TINY, "--output", str(out)]) == 0
    ours, literal = json.loads(out.read_text())
    assert (ours["version"], literal["version"]) == ("this package", "literal")
    assert ours["windows"] == literal["windows"] > 50
    assert ours["proposals"] == literal["proposals"] > 3
    assert ours["pixels that differ"] <= 1e-4
    assert ours["times literal"] > 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--repeats", "0"], "--repeats 0; expected 1 or more"),
        (["MODEL.INSTANCE_FCN.HEAD.MASK_HEAD", "deepmask"], "MASK_HEAD is deepmask"),
        (["--config-file", "rsis_synthetic.yaml"], "is of ConvLSTMSemInstSeg"),
    ],
)
def test_what_it_cannot_measure_is_refused(options, message, capsys):
    extra = ["MODEL.INSTANCE_FCN.HEAD.WINDOW", "14"] if "deepmask" in options else []
    assert run(main, [*TINY, *options, *extra]) == 2
    assert message in capsys.readouterr().err
