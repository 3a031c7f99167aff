"""What a training or an evaluation left in its output folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode

from recseg_d2.config import load_config
from recseg_d2.errors import UserError
from recseg_d2.evaluation.predictions import PREFIX, SUFFIX

CONFIG, METRICS, WEIGHTS, INFERENCE = (
    "config.yaml",
    "metrics.json",
    "model_final.pth",
    "inference",
)
ITERATION = "iteration"  # of each line of metrics.json


class MissingResultsError(UserError):
    """The results do not hold what an analysis needs; ``all`` then leaves that analysis out."""


@dataclass(frozen=True)
class RunFolder:
    """An output folder.

    Attributes:
        path: of the folder.
        name: of the run in tables and figures.
    """

    path: Path
    name: str

    def prediction_files(self) -> list[Path]:
        """What its evaluations saved, one file a data set, sorted by name.

        Raises:
            MissingResultsError: there is none.
        """
        files = self.inference_files(f"{PREFIX}*{SUFFIX}")
        if not files:
            raise MissingResultsError(
                f"{self.path}: has no {INFERENCE}/*/{PREFIX}*{SUFFIX}; evaluate with "
                f"TEST.SAVE_PREDICTIONS True{self._phases_hint()}."
            )
        return files

    def inference_files(self, pattern: str) -> list[Path]:
        """Files of its evaluations whose names match a pattern, sorted."""
        return sorted((self.path / INFERENCE).glob(f"**/{pattern}"))

    def config(self) -> CfgNode:
        """The complete config of the run, not frozen.

        Raises:
            MissingResultsError: the folder has none.
            UserError: it cannot be read.
        """
        return load_config(self._file(CONFIG, "name the output folder of a training"))

    def weights(self) -> Path:
        """The weights that training ended with; of an evaluation alone, those it loaded.

        Raises:
            MissingResultsError: there are none.
        """
        if (self.path / WEIGHTS).is_file():
            return self.path / WEIGHTS
        named = self.config().MODEL.WEIGHTS
        if not named or not Path(named).is_file():
            raise MissingResultsError(
                f"{self.path}: has no {WEIGHTS}, and MODEL.WEIGHTS of its {CONFIG} "
                f"({named or 'empty'}) is no file; finish the training{self._phases_hint()}."
            )
        return Path(named)

    def was_trained_here(self) -> bool:
        """Whether the folder holds a training's result, rather than an evaluation alone."""
        return (self.path / WEIGHTS).is_file()

    def metrics(self) -> list[dict[str, Any]]:
        """The lines that training wrote, in their order.

        Raises:
            MissingResultsError: there are none.
            UserError: a line is not what training writes.
        """
        path = self._file(METRICS, "training writes it; an evaluation alone does not")
        lines = []
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
            try:
                content = json.loads(line)
            except ValueError:
                content = None
            if not isinstance(content, dict) or ITERATION not in content:
                raise UserError(
                    f"{path}, line {number}: found {line[:40]!r}, expected a JSON object with "
                    f'"{ITERATION}"; remove the line.'
                )
            lines.append(content)
        if not lines:
            raise MissingResultsError(f"{path}: is empty; train for longer.")
        return lines

    def _file(self, name: str, advice: str) -> Path:
        path = self.path / name
        if not path.is_file():
            raise MissingResultsError(
                f"{self.path}: has no {name} ({advice}){self._phases_hint()}."
            )
        return path

    def _phases_hint(self) -> str:
        """The folders of phases, where a run has them: the results are there."""
        phases = sorted(p.parent.name for p in self.path.glob(f"*/{CONFIG}"))
        return f"; its phases are in {', '.join(phases)}" if phases else ""


def open_runs(folders: Sequence[str | Path]) -> list[RunFolder]:
    """Runs by folder, named by the parts of their paths that tell them apart.

    Raises:
        UserError: one is no folder, or is named twice.
    """
    paths = [Path(folder) for folder in folders]
    for path in paths:
        if not path.is_dir():
            raise UserError(
                f"{path}: there is no such folder; name the OUTPUT_DIR of a training or an "
                "evaluation."
            )
    resolved = [path.resolve() for path in paths]
    if len(set(resolved)) < len(resolved):
        twice = next(path for path in resolved if resolved.count(path) > 1)
        raise UserError(f"{twice} is named twice; name every run once.")
    return [RunFolder(path, name) for path, name in zip(paths, _short_names(resolved), strict=True)]


def _short_names(paths: list[Path]) -> list[str]:
    """The last parts of each path, as many as it takes to tell all apart."""
    depth, deepest = 1, max(len(path.parts) for path in paths)
    while depth < deepest and len({path.parts[-depth:] for path in paths}) < len(paths):
        depth += 1
    return ["/".join(path.parts[-depth:]) for path in paths]
