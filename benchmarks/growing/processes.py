"""What an image of training costs as processes become more, on CPUs."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import socket
import statistics
import tempfile
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog

from benchmarks.configs import benchmark_config
from benchmarks.growing.curve import PROCESSES, Cost, Series
from benchmarks.models import peak_growth
from recseg_d2.cli.train import run_phase
from recseg_d2.engine.launch import launch

TRAINED = {"RSIS": "rsis_synthetic.yaml", "RIS": "ris_synthetic.yaml"}
DATA = "synthetic_rosettes_dev"
_WARM_UP = 3  # iterations of which Detectron2 does not write the seconds


def process_series(counts: Sequence[int], iterations: int, opts: Sequence[str]) -> list[Series]:
    """Of trainings on drawn images; a batch has as many in all, whatever the processes.

    Args:
        counts: of processes, with a thread each.
        iterations: that are timed.
        opts: config keys and values.
    """
    return [
        Series(
            "processes",
            f"{name} training",
            {n: partial(train_together, file, n, iterations, tuple(opts)) for n in counts},
        )
        for name, file in TRAINED.items()
    ]


def train_together(file: str, count: int, iterations: int, opts: Sequence[str]) -> Cost:
    """Median seconds of an image of the batch, and the most memory that a process needs."""
    with tempfile.TemporaryDirectory() as folder:
        cfg = training_config(file, folder, _WARM_UP + iterations, opts)
        with ProcessPoolExecutor(count, mp_context=PROCESSES) as processes:
            train = partial(_train, cfg, _free_port(), count)
            peaks = list(processes.map(train, range(count)))
        lines = (Path(folder) / "metrics.json").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    seconds = statistics.median(row["time"] for row in rows if "time" in row)
    known = [peak for peak in peaks if peak is not None]
    return Cost(seconds / cfg.SOLVER.IMS_PER_BATCH, max(known, default=None))


def training_config(file: str, folder: str, iterations: int, opts: Sequence[str]) -> CfgNode:
    """The config of a short training of all steps, which writes into a folder."""
    cfg = benchmark_config(file, opts).clone()
    cfg.defrost()
    cfg.OUTPUT_DIR = folder
    cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (DATA,), ()
    cfg.SOLVER.MAX_ITER, cfg.SOLVER.LOG_PERIOD, cfg.SOLVER.CURRICULUM.START = iterations, 1, 0
    cfg.freeze()
    return cfg


def _train(cfg: CfgNode, port: int, count: int, rank: int) -> int | None:
    """One of the processes; by how many bytes its memory grows."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": count, "RANK": rank}
    local = {"LOCAL_RANK": rank, "LOCAL_WORLD_SIZE": count}
    os.environ.update({key: str(value) for key, value in {**place, **local}.items()})
    torch.set_num_threads(1)
    images = cfg.SOLVER.IMS_PER_BATCH * cfg.SOLVER.MAX_ITER  # all are drawn at the beginning
    DatasetCatalog[DATA] = replace(DatasetCatalog[DATA], num_images=images)
    args = argparse.Namespace(num_gpus=0, num_machines=1)
    with contextlib.redirect_stdout(io.StringIO()):
        return peak_growth(lambda: launch(lambda _: run_phase(cfg, resume=False), args))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
