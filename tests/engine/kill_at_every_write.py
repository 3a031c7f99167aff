"""Kills a run of three phases at each of its writes, resumes it, and prints what came out.

A program of its own, not a test: it forks a child for every run, which takes a process that has not
trained anything yet. What is killed is really killed (SIGKILL), with half a file on the disk.

Usage: kill_at_every_write.py FOLDER. Prints a JSON object: "writes", the files that the whole run
wrote, in order; "whole", the hash of its final weights; "resumed", for each write the same of the
run that was killed there and resumed.
"""

from __future__ import annotations

import hashlib
import json
import os
import signal
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))

from in_fork import in_fork

import recseg_d2  # noqa: F401  (before any detectron2 import)
from recseg_d2 import cli, files
from recseg_d2.cli import make_dataset, train

CONFIG = [
    *("MODEL.DEVICE", "cpu"),
    *("MODEL.SMALL_ENCODER.WIDTHS", "[4,6]", "MODEL.RSIS.HIDDEN_WIDTHS", "[6,4]"),
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", "(16,16)", "MODEL.SEQUENTIAL.STEPS", "2"),
    *("SOLVER.IMS_PER_BATCH", "2", "SOLVER.CHECKPOINT_PERIOD", "2", "SOLVER.EMA_DECAY", "0.9"),
    "SOLVER.PHASES",
    "[{'NAME':'a','SOLVER':{'MAX_ITER':2}},{'NAME':'b','SOLVER':{'MAX_ITER':1}},"
    "{'NAME':'c','SOLVER':{'MAX_ITER':2}}]",
]


def run(folder: Path, resume: bool, kill_at: int = -1, journal: Path | None = None) -> None:
    """Train; note each file that is written into the folder, or be killed at one of them."""
    replace, count = os.replace, iter(range(1 << 30))

    def watched(part: Path, path: Path) -> None:
        if not path.is_relative_to(folder):  # what is remembered of images, for all runs
            return replace(part, path)
        if next(count) == kill_at:
            os.truncate(part, part.stat().st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)
        if journal:
            with journal.open("a") as file:
                file.write(f"{path}\n")
        return replace(part, path)

    files.os.replace = watched
    options = [
        "--config-file",
        "rsis_small.yaml",
        "--train-data",
        str(folder.parent / "data/train"),
    ]
    options += ["--resume"] if resume else []
    assert cli.run(train.main, [*options, "OUTPUT_DIR", str(folder), *CONFIG]) == 0


def weights(folder: Path) -> str:
    """Hash of the final weights."""
    state = torch.load(folder / "model_final.pth", weights_only=True)["model"]
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].numpy().tobytes())
    return digest.hexdigest()


def main(root: Path) -> None:
    """See above."""
    data = ["label_maps", str(root / "data"), "--images", "2", "--size", "32"]
    assert make_dataset.main(data) == 0
    journal = root / "journal"
    assert in_fork(lambda: run(root / "whole", False, journal=journal)) == 0
    writes = [str(Path(p).relative_to(root / "whole")) for p in journal.read_text().splitlines()]
    resumed = []
    for number in range(len(writes)):
        folder = root / f"killed_{number}"
        status = in_fork(lambda f=folder, n=number: run(f, False, kill_at=n))
        assert status == -signal.SIGKILL, (number, status)
        assert in_fork(lambda f=folder: run(f, True)) == 0, number
        resumed.append(weights(folder))
    print()
    print(json.dumps({"writes": writes, "whole": weights(root / "whole"), "resumed": resumed}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main(Path(sys.argv[1]))
