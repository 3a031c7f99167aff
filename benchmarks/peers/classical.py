"""The package's classical methods: nothing is learned. ``--config`` names the method.

Runs in the driver's environment.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.peers.peer import Found, Job, Peer, Settings, main, predict_with

PEER = Peer(
    title="classical:",
    environment="",
    commands=("recseg baseline --method {config} --input images --output found",),
)
METHOD = "classical.json"


def train(job: Job) -> dict[str, Any]:
    """Remember the method."""
    (job.work / METHOD).write_text(json.dumps(job.config))
    return {"cpu_minutes": 0.0, "wall_minutes": 0.0}


class ClassicalFinder:
    """The method; all of its objects have the score 1.

    Args:
        name: one of the methods of ``recseg baseline``.
    """

    parameters = 0

    def __init__(self, name: str) -> None:
        from recseg_d2.baselines.classical import METHODS

        self.method = METHODS[name]

    def find(self, image: np.ndarray, settings: Sequence[Settings]) -> list[Found]:
        """See ``peer.Finder``."""
        labels = self.method(image)
        return [(labels, [1.0] * int(labels.max()))] * len(settings)


def load(work: Path, threads: int) -> ClassicalFinder:
    """The method that ``train`` remembered."""
    return ClassicalFinder(json.loads((work / METHOD).read_text()))


if __name__ == "__main__":
    main(train, predict_with(load))
