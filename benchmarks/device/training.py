"""One small training to its end, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.device.settings import Check, Row, Settings

TRAINED = "rsis_synthetic.yaml"
TRAINED_LENGTH = 0.04  # of the config's length


def training_checks(settings: Settings) -> dict[str, Check]:
    """A training as a user runs it, in a process of its own."""
    return {TRAINED: partial(_train, settings)}


def _train(settings: Settings, seconds: float) -> Row:
    """First and last loss, and the scores of the evaluation at the end."""
    script = Path(__file__).parents[2] / "tools" / "train_net.py"
    # 200 images, so that the check is short
    options = ["DATASETS.TRAIN", "('synthetic_rosettes_dev',)", "SOLVER.LOG_PERIOD", "1"]
    if settings.tiny:
        options += ["SOLVER.MAX_ITER", "2", "DATASETS.TEST", "()"]
    else:
        options += ["SOLVER.LENGTH_SCALE", str(TRAINED_LENGTH)]
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(script), "--config-file", TRAINED, "OUTPUT_DIR", folder]
        command += [*settings.options(TRAINED), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=seconds)
        if done.returncode:
            return {"failed": done.stderr[-2000:]}
        lines = (Path(folder) / "metrics.json").read_text().splitlines()
    numbers = [json.loads(line) for line in lines]
    losses = [row["total_loss"] for row in numbers if "total_loss" in row]
    scores = {k: v for k, v in numbers[-1].items() if k.isupper() or "/" in k}
    row = {"iterations": len(losses), "first_loss": losses[0], "last_loss": losses[-1], **scores}
    falls = settings.tiny or losses[-1] < losses[0]
    return row if falls else {**row, "failed": "the loss does not fall"}
