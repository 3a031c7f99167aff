"""Where curves and pictures go beside metrics.json: TensorBoard, Weights & Biases."""

from __future__ import annotations

import importlib
import importlib.util
import logging
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from detectron2.config import CfgNode
from detectron2.utils.events import EventWriter, TensorboardXWriter, get_event_storage
from PIL import Image

from recseg_d2.config import read_options
from recseg_d2.config.options import LoggerOptions
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)


class PictureLog(Protocol):
    """Takes the pictures that an evaluation has drawn."""

    def log_pictures(self, paths: Sequence[Path], iteration: int) -> None:
        """Keep image files under their names, as of an iteration."""


class TensorBoardPictures:
    """Pictures beside the curves in TensorBoard; no file before the first of them.

    Args:
        folder: the run's, which has TensorBoard's files.
    """

    def __init__(self, folder: str | Path) -> None:
        self._folder = str(folder)

    @cached_property
    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self._folder, filename_suffix=".pictures")

    def log_pictures(self, paths: Sequence[Path], iteration: int) -> None:
        """See ``PictureLog``."""
        for path in paths:
            pixels = np.asarray(Image.open(path).convert("RGB"))
            self._writer.add_image(path.stem, pixels, iteration, dataformats="HWC")
        self._writer.flush()


class WandbWriter(EventWriter):
    """Curves and pictures at Weights & Biases, which is imported when a run has it.

    Args:
        options: the project.
        cfg: config of the run, which is stored with it.

    Raises:
        UserError: wandb is not installed.
    """

    def __init__(self, options: LoggerOptions, cfg: CfgNode) -> None:
        if importlib.util.find_spec("wandb") is None:
            raise UserError("LOGGER.WANDB_PROJECT is set: pip install wandb, or set it to ''.")
        self._wandb = importlib.import_module("wandb")
        self._last_write = -1  # Detectron2's name: a resumed run sets it
        self._run = self._wandb.init(
            project=options.wandb_project,
            name=Path(cfg.OUTPUT_DIR).name,
            dir=cfg.OUTPUT_DIR,
            config=dict(cfg),
        )

    def write(self) -> None:
        """Send what is new, by iteration."""
        rows: dict[int, dict[str, float]] = {}
        latest = get_event_storage().latest_with_smoothing_hint(20)
        for name, (value, iteration) in latest.items():
            if iteration > self._last_write:
                rows.setdefault(iteration, {})[name] = value
        for iteration in sorted(rows):
            self._run.log(rows[iteration], step=iteration)
        self._last_write = max([self._last_write, *rows])

    def log_pictures(self, paths: Sequence[Path], iteration: int) -> None:
        """See ``PictureLog``."""
        images = {f"pictures/{path.stem}": self._wandb.Image(str(path)) for path in paths}
        self._run.log(images, step=iteration)

    def close(self) -> None:
        """Finish the run there."""
        self._run.finish()


def has_tensorboard() -> bool:
    """Whether TensorBoard is installed; it is an extra."""
    return importlib.util.find_spec("tensorboard") is not None


def usable_writers(writers: Sequence[EventWriter]) -> list[EventWriter]:
    """Detectron2's writers but for TensorBoard's where that is not installed.

    Its writer would fail at the first value, in the midst of a training.
    """
    if has_tensorboard():
        return list(writers)
    logger.info("Curves are in metrics.json alone: pip install 'recseg_d2[tensorboard]' for more.")
    return [writer for writer in writers if not isinstance(writer, TensorboardXWriter)]


def more_writers(cfg: CfgNode) -> list[EventWriter]:
    """Writers that the config asks for beside Detectron2's; in the main process."""
    options = read_options(cfg, LoggerOptions)
    return [WandbWriter(options, cfg)] if options.wandb_project else []


def picture_logs(cfg: CfgNode, writers: Sequence[EventWriter]) -> list[PictureLog]:
    """Where the pictures of evaluations go beside OUTPUT_DIR/pictures."""
    logs: list[PictureLog] = [writer for writer in writers if isinstance(writer, WandbWriter)]
    wanted = read_options(cfg, LoggerOptions).tensorboard_pictures
    if wanted and has_tensorboard():
        logs.append(TensorBoardPictures(cfg.OUTPUT_DIR))
    return logs
