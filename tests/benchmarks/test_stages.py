"""``--stages``: all stages at one and at all scales, literal output equal."""

from __future__ import annotations

import json

import pytest

from benchmarks.run import main
from benchmarks.stages import LITERAL_STAGES
from recseg_d2.cli import run

STAGES = ["backbone", "heads", "assembling", "boxes", "NMS", "pasting"]
TINY = [
    *("MODEL.INSTANCE_FCN.BRANCH_WIDTH", "8", "MODEL.DEVICE", "cpu"),
    *("MODEL.INSTANCE_FCN.TEST.SCALES", "(24, 36, 40)", "MODEL.INSTANCE_FCN.TEST.TOPK", "50"),
]
QUICK = ["--stages", "--image-size", "30", "40", "--repeats", "1", "--threads", "1"]


def run_tool(out, *options: str, opts: tuple[str, ...] = ()) -> list[dict]:
    arguments = [*QUICK, "--literal-windows", "12", "--output", str(out), *options]
    assert run(main, [*arguments, "--opts", *TINY, *opts]) == 0
    return json.loads(out.read_text())


def test_every_stage_beside_the_literal_one(tmp_path, capsys):
    rows = run_tool(tmp_path / "numbers.json")
    assert [(row["scales"], row["stage"]) for row in rows] == [
        (n, s) for n in (1, 3) for s in STAGES
    ]
    for row in rows:
        assert row["ms"] > 0
        assert ("literal ms" in row) == (row["stage"] in LITERAL_STAGES)
        assert row.get("equal", True), row
    assert rows[0]["windows"] < rows[-1]["windows"]
    compared = {row["stage"]: row["compared"] for row in rows if "compared" in row}
    assert compared == {"assembling": 120, "boxes": 12, "pasting": 12, "NMS": 240}
    assert "times faster" in capsys.readouterr().out


def test_masks_that_are_not_assembled_have_no_literal_assembling(tmp_path):
    head = ("MODEL.INSTANCE_FCN.MASK_HEAD", "deepmask", "MODEL.INSTANCE_FCN.WINDOW", "14")
    rows = run_tool(tmp_path / "n.json", opts=(*head, "MODEL.INSTANCE_FCN.MASK_SIDE", "28"))
    assert {row["stage"] for row in rows if "equal" in row} == {"boxes", "NMS", "pasting"}
    assert all(row["equal"] for row in rows if "equal" in row)


def test_without_the_reference_the_package_is_measured_alone(tmp_path):
    rows = run_tool(tmp_path / "n.json", "--literal-windows", "0")
    assert len(rows) == 2 * len(STAGES)
    assert not any("equal" in row for row in rows)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--config-file", "rsis_synthetic.yaml"], "needs a config of InstanceFCNProposal"),
        (["--image-size", "0", "5"], r"--image-size is [0, 5]"),
        (["--literal-windows", "-1"], "--literal-windows -1"),
    ],
)
def test_wrong_options_are_named(options, message, capsys):
    assert run(main, [*QUICK, *options, "--opts", *TINY]) == 2
    assert message in capsys.readouterr().err
