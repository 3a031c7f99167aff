"""Cityscapes' config in a few minutes, by the line that a user types."""

from __future__ import annotations

import json

import pytest
from warm_python import run_python

from recseg_d2.data.synthetic.layouts import LAYOUTS


@pytest.mark.slow
def test_all_phases_and_the_evaluation_run_shortened(tmp_path, tool_env, root):
    for part, seeds in (("train", [0, 1]), ("val", [2])):
        LAYOUTS["cityscapes"](tmp_path / "cityscapes", part, seeds, 64)
    line = "tools/train_net.py --config-file configs/ris_cityscapes.yaml"
    short = ["SOLVER.LENGTH_SCALE", "0.00003", "SOLVER.IMS_PER_BATCH", "1", "TEST.NUM_PICTURES"]
    short += ["1", "MODEL.SEQUENTIAL.IMAGE_SIZE", "(64,128)", "MODEL.SEQUENTIAL.STEPS", "3"]
    output = tmp_path / "out"
    words = [*line.split(), "--num-gpus", "4", *short, "OUTPUT_DIR", output]
    env = {**tool_env, "DETECTRON2_DATASETS": str(tmp_path), "CUDA_VISIBLE_DEVICES": ""}
    result = run_python(words, env, root)
    assert result.returncode == 0, result.stderr[-3000:]
    done = {}
    for name, folder in {"1": "1_preprocessor", "2": "2_box", "3": "."}.items():
        record = json.loads((output / folder / "finished.json").read_text())
        done[name] = record["iterations"]
    assert done == {"1": 1, "2": 2, "3": 2}  # 0.00003 of 40,000, 60,000 and 70,000
    last = json.loads((output / "metrics.json").read_text().splitlines()[-1])
    assert any(name.startswith("segm/AP") or name.endswith("/AP") for name in last), last
