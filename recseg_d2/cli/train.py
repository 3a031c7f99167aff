"""``recseg train``: train and evaluate any model of any config.

Examples:
    recseg train --config-file rsis_synthetic.yaml
    recseg train --config-file rsis_small.yaml --train-data my/train --val-data my/val
    recseg train --config-file ris_small.yaml --one-class --train-data my/annotations/train.json
    recseg train --config-file rsis_cvppp.yaml --num-gpus 4
    torchrun --nproc-per-node 4 tools/train_net.py --config-file rsis_cvppp.yaml
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectron2.checkpoint import DetectionCheckpointer
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.engine import default_argument_parser, default_setup
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from recseg_d2.cli.own_data import (
    FOLDER_TRAIN,
    FOLDER_VAL,
    OWN_DATA_HELP,
    add_own_data_options,
    register_given,
)
from recseg_d2.cli.train_checks import check_config, check_data, check_resumable
from recseg_d2.config import get_config_file, load_config
from recseg_d2.config.device import resolve_device
from recseg_d2.engine.launch import launch
from recseg_d2.engine.phases import phase_configs, run_phases
from recseg_d2.engine.trainer import Trainer
from recseg_d2.engine.weights import check_weights_file, load_weights, readable
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Detectron2's training options and this package's."""
    parser = default_argument_parser(epilog=__doc__)
    parser.add_argument("--train-data", metavar="PATH", help=OWN_DATA_HELP)
    parser.add_argument("--val-data", metavar="PATH", help="the same, for evaluation")
    add_own_data_options(parser)
    parser.add_argument("--phase", default="", help="run this phase of SOLVER.PHASES alone")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, start the processes, train."""
    args = build_parser().parse_args(argv)
    launch(train, args)
    return 0


def train(args: argparse.Namespace) -> dict[str, Any]:
    """What each process does: set up, then evaluate or run the phases."""
    register_folders(args)
    cfg = setup(args)
    if args.eval_only:
        return evaluate(cfg, args.resume)
    return run_phases(cfg, run_phase, resume=args.resume, only=args.phase)


def register_folders(args: argparse.Namespace) -> None:
    """Register the data of the command line, in this process."""
    for name, place in ((FOLDER_TRAIN, args.train_data), (FOLDER_VAL, args.val_data)):
        if place:
            register_given(name, place, args)


def setup(args: argparse.Namespace) -> CfgNode:
    """The complete config of a run, checked and frozen."""
    cfg = load_config(args.config_file, args.opts)
    if args.train_data:
        cfg.DATASETS.TRAIN = (FOLDER_TRAIN,)
        cfg.DATASETS.TEST = ()
    if args.val_data:
        cfg.DATASETS.TEST = (FOLDER_VAL,)
    cfg.MODEL.DEVICE = resolve_device(cfg)
    phases = phase_configs(cfg)
    for phase in phases:
        check_config(phase)
        if args.resume:
            check_resumable(phase)
    check_named_data(cfg, args.eval_only)
    if phases[0].MODEL.WEIGHTS and not args.phase:
        check_weights_file(phases[0].MODEL.WEIGHTS)
    make_folder(cfg.OUTPUT_DIR)
    cfg.freeze()
    if args.config_file:
        args.config_file = str(get_config_file(args.config_file))
    default_setup(cfg, args)
    setup_logger(output=cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="recseg_d2")
    return cfg


def check_named_data(cfg: CfgNode, eval_only: bool) -> None:
    """Refuse a run without data, and one on a folder that only an earlier command line named."""
    needed = "TEST" if eval_only else "TRAIN"
    option = "--val-data" if eval_only else "--train-data"
    if not cfg.DATASETS[needed]:
        raise UserError(f"DATASETS.{needed} names no data set: give {option} PATH, or name one.")
    named = (*(() if eval_only else cfg.DATASETS.TRAIN), *cfg.DATASETS.TEST)
    for name, folder_option in ((FOLDER_TRAIN, "--train-data"), (FOLDER_VAL, "--val-data")):
        if name in named and name not in DatasetCatalog.list():
            raise UserError(
                f"DATASETS: the config is that of a run on a folder ({name!r}), which it does not "
                f"remember: give {folder_option} PATH again."
            )


def run_phase(cfg: CfgNode, resume: bool) -> dict[str, Any]:
    """Train one phase; returns the results of its last evaluation."""
    check_data(cfg)
    make_folder(cfg.OUTPUT_DIR)
    if comm.is_main_process():
        (Path(cfg.OUTPUT_DIR) / "config.yaml").write_text(cfg.dump())
    trainer = Trainer(cfg)
    with readable(cfg.MODEL.WEIGHTS or cfg.OUTPUT_DIR):
        trainer.resume_or_load(resume=resume)
    if trainer.start_iter >= cfg.SOLVER.MAX_ITER:
        logger.info("%s is finished: raise SOLVER.MAX_ITER to go on.", cfg.OUTPUT_DIR)
        return Trainer.test(cfg, trainer.model) if cfg.DATASETS.TEST else {}
    logger.info(
        "%s: iterations %d to %d, from %s",
        cfg.OUTPUT_DIR,
        trainer.start_iter,
        cfg.SOLVER.MAX_ITER,
        "its last checkpoint" if trainer.start_iter else cfg.MODEL.WEIGHTS or "random weights",
    )
    trainer.train()
    return trainer.last_results


def evaluate(cfg: CfgNode, resume: bool) -> dict[str, Any]:
    """Evaluate MODEL.WEIGHTS (or, on resuming, the last checkpoint) on DATASETS.TEST."""
    check_data(cfg)
    model = Trainer.build_model(cfg)
    checkpointer = DetectionCheckpointer(model, save_dir=cfg.OUTPUT_DIR)
    weights = cfg.MODEL.WEIGHTS
    if resume and checkpointer.has_checkpoint():
        weights = checkpointer.get_checkpoint_file()
    if not weights:
        raise UserError(
            "--eval-only needs MODEL.WEIGHTS <file>, or --resume and a checkpoint in OUTPUT_DIR "
            f"({cfg.OUTPUT_DIR})."
        )
    load_weights(model, weights)
    return Trainer.test(cfg, model)
