"""Checkpoints that are whole or absent, and the record that a phase is finished.

A run's folder has, of Detectron2's names, ``model_<iteration>.pth``, ``model_final.pth`` and
``last_checkpoint``; ``finished.json`` is added when nothing is left to do.
"""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import torch

from recseg_d2.engine.environment import environment
from recseg_d2.engine.weight_files import SafeCheckpointer
from recseg_d2.errors import UserError
from recseg_d2.files import file_hash, write_whole

logger = logging.getLogger(__name__)

BEST, FINAL, FINISHED = "model_best.pth", "model_final.pth", "finished.json"
_LAST = "last_checkpoint"
UNREADABLE = (OSError, UserError)


class RunCheckpointer(SafeCheckpointer):
    """Detectron2's, whose files are replaced as a whole, and which finds the newest readable one.

    Every process of a run has one; the main process saves.
    """

    def save(self, name: str, **kwargs: Any) -> None:
        """Store the model, what belongs to it, the environment and ``kwargs`` as ``<name>.pth``.

        Raises:
            UserError: it cannot be written; the checkpoints before it are as they were.
        """
        if not self.save_dir or not self.save_to_disk:
            return
        parts = {key: part.state_dict() for key, part in self.checkpointables.items()}
        path = Path(self.save_dir) / f"{name}.pth"
        logger.info("Saving checkpoint to %s", path)
        state = {"model": self.model.state_dict(), **parts, "environment": environment(), **kwargs}
        save_whole(state, path)
        self.tag_last_checkpoint(path.name)

    def tag_last_checkpoint(self, last_filename_basename: str) -> None:
        """Note which checkpoint is the newest."""
        with write_whole(Path(self.save_dir) / _LAST) as file:
            file.write(last_filename_basename)

    def has_checkpoint(self) -> bool:
        """Whether there is any to go on from, noted as the newest or not."""
        return bool(self._candidates())

    def resume_or_load(self, path: str, *, resume: bool = True) -> dict[str, Any]:
        """Go on from the newest checkpoint that can be read; without one, load the model alone.

        Args:
            path: the file of the weights to start with; empty for none.
            resume: whether to look for checkpoints of the run.

        Raises:
            UserError: there are checkpoints, and none can be read.
        """
        candidates = self._candidates() if resume else []
        if not candidates:
            return self.load(path, checkpointables=[])
        newest = self.newest_readable()
        if newest is None:
            names = ", ".join(file.name for file in candidates)
            raise UserError(
                f"--resume: none of the checkpoints in {self.save_dir} can be read ({names}); "
                "start anew with --overwrite."
            )
        return self.load(str(newest))

    def newest_readable(self) -> Path | None:
        """The newest complete checkpoint to go on from; what is passed over is logged."""
        for file in self._candidates():
            try:
                if "trainer" in self._load_file(str(file)):
                    return file
                reason = "it has a model alone"
            except UNREADABLE as error:
                reason = (str(error) or type(error).__name__).splitlines()[0]
            logger.warning("%s is no checkpoint to go on from (%s): trying another.", file, reason)
        return None

    def _candidates(self) -> list[Path]:
        """Checkpoints: the one noted as the newest first, then by the time they were written."""
        folder = Path(self.save_dir)
        files = [path for path in folder.glob("model_*.pth") if path.name != BEST]
        noted = folder / _LAST
        last = noted.read_text().strip() if noted.is_file() else ""
        return sorted(files, key=lambda p: (p.name == last, p.stat().st_mtime_ns), reverse=True)


def save_whole(state: dict[str, Any], path: Path) -> None:
    """Store tensors and plain values; the file is whole or absent.

    Raises:
        UserError: it cannot be written, as on a full disk.
    """
    with write_whole(path, "wb") as file:
        try:
            torch.save(state, file)
        except RuntimeError as error:  # PyTorch's, on closing an archive that broke off
            raise OSError(str(error).splitlines()[0]) from error


def record_finished(folder: str | Path, iterations: int, ended_early: bool) -> None:
    """Note that ``model_final.pth`` in a folder is what its run was to end with.

    Args:
        folder: the folder of the run, or of one of its phases.
        iterations: number of iterations that were done.
        ended_early: whether a metric ended training before its full length.
    """
    record = {
        "weights": FINAL,
        "sha256": file_hash(Path(folder) / FINAL),
        "iterations": iterations,
        "ended_early": ended_early,
    }
    with write_whole(Path(folder) / FINISHED) as file:
        json.dump(record, file, indent=2)


def is_finished(folder: str | Path, iterations: int) -> bool:
    """Whether the record says so of at least so many iterations, and the weights are those of it.

    A record that does not fit its weights is no record; a warning says so.
    """
    path = Path(folder) / FINISHED
    try:
        record = json.loads(path.read_text())
        done = record["ended_early"] or record["iterations"] >= iterations
        intact = file_hash(path.parent / record["weights"]) == record["sha256"]
    except FileNotFoundError as error:
        if Path(str(error.filename)) != path:
            logger.warning("%s is gone, which %s speaks of.", error.filename, path)
        return False
    except (ValueError, KeyError, TypeError) as error:
        logger.warning("%s cannot be read (%s).", path, error)
        return False
    if not intact:
        logger.warning("%s is not the file that %s speaks of.", FINAL, path)
    return done and intact


def forget_finished(folder: str | Path) -> None:
    """Training goes on in this folder: what it ends with is not there yet."""
    (Path(folder) / FINISHED).unlink(missing_ok=True)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a file; the copy is whole or absent."""
    with write_whole(target, "wb") as file, open(source, "rb") as original:
        shutil.copyfileobj(original, file)
