"""What a training or an evaluation left in its output folder."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from detectron2.config import CfgNode

from recseg_d2.config import load_config
from recseg_d2.data.coco_results import images_file
from recseg_d2.errors import UserError

CONFIG, METRICS, WEIGHTS, INFERENCE = (
    "config.yaml",
    "metrics.json",
    "model_final.pth",
    "inference",
)
PREDICTIONS = "predictions"  # begins the names of files of COCO's results
ITERATION = "iteration"  # of each line of metrics.json

Item = TypeVar("Item")
Result = TypeVar("Result")


class MissingResultsError(UserError):
    """The results do not hold what an analysis needs; ``all`` then leaves that analysis out."""


@dataclass(frozen=True)
class RunFolder:
    """The output folder of a training, of an evaluation, or of ``recseg predict``.

    Attributes:
        path: the folder of the run, or a single file of COCO's results.
        name: what the run is called in tables and figures.
    """

    path: Path
    name: str

    def prediction_files(self) -> list[Path]:
        """COCO's results in it, one file a data set, sorted by name.

        Raises:
            MissingResultsError: there is none.
        """
        if self.path.is_file():
            return [self.path]
        own = self.path.glob(f"{PREDICTIONS}.json")
        files = [*own, *self.inference_files(f"{PREDICTIONS}_*.json")]
        files = [file for file in files if file not in set(map(images_file, files))]
        if not files:
            raise MissingResultsError(
                f"{self.path}: has neither {PREDICTIONS}.json, which recseg predict writes, nor "
                f"{INFERENCE}/*/{PREDICTIONS}_*.json; evaluate with TEST.SAVE_PREDICTIONS "
                f"True{self._phases_hint()}."
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


def open_runs(places: Sequence[str | Path]) -> list[RunFolder]:
    """Runs by folder or file, named by the parts of their paths that tell them apart.

    Raises:
        UserError: one is not there, or is named twice.
    """
    paths = [Path(place) for place in places]
    for path in paths:
        if not path.exists():
            raise UserError(
                f"{path}: there is no such folder; name the OUTPUT_DIR of a training or an "
                "evaluation, the output of recseg predict, or a file of COCO results."
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


def of_each(
    items: Sequence[Item], compute: Callable[[Item], Result]
) -> tuple[list[tuple[Item, Result]], list[str]]:
    """What is computed of each item, and a note for each that lacks what it takes.

    Raises:
        MissingResultsError: all of them lack it.
    """
    results, notes = [], []
    for item in items:
        try:
            results.append((item, compute(item)))
        except MissingResultsError as error:
            notes.append(str(error))
    if not results:
        raise MissingResultsError(" ".join(notes))
    return results, notes
