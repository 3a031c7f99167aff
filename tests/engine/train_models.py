"""Trains every tiny model in as many processes as torchrun started: ``train_models.py FOLDER``.

Leaves FOLDER/<model>/model_final.pth, and the validation losses in FOLDER/<model>/metrics.json.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import torch

import recseg_d2  # noqa: F401  (before any detectron2 import)

sys.path.insert(0, str(Path(__file__).parent.parent))

from detectron2.data import DatasetCatalog
from engine.tiny_models import MODELS, tiny_model_cfg

from recseg_d2.cli.train import run_phase
from recseg_d2.engine.launch import launch

NAME = "synthetic_rosettes_dev"
DATA = [
    *("DATASETS.TRAIN", (NAME,), "DATASETS.TEST", (NAME,), "TEST.EVAL_PERIOD", 0),
    *("MODEL.SYNC_BATCH_NORMS", True, "SOLVER.ACCUM_STEPS", 1),
]
# Processes whose images have fewer objects take as many steps as the others.
OF_MODEL = {
    "ris": ("MODEL.SEQUENTIAL.STEPS", 9, "MODEL.RIS.FULL_SEQUENCES", False, "SOLVER.MAX_ITER", 4)
}


def main(args: argparse.Namespace) -> None:
    """Train all."""
    torch.set_num_threads(1)
    DatasetCatalog[NAME] = replace(DatasetCatalog[NAME], num_images=5)
    for name in MODELS:
        opts = [*DATA, *OF_MODEL.get(name, ()), "OUTPUT_DIR", f"{args.folder}/{name}"]
        run_phase(tiny_model_cfg(name, *opts), resume=False)


if __name__ == "__main__":
    launch(main, argparse.Namespace(folder=sys.argv[1], num_gpus=1, num_machines=1))
