"""``recseg train``: train and evaluate any model of any config.

Without --config-file, the images and labels of --train-data decide on everything: the plan is
printed with its reasons and kept in OUTPUT_DIR/plan.txt, and KEY VALUE pairs change any of it.

Examples:
    recseg train --train-data my/train --minutes 20
    recseg train --train-data my/train --weights recseg://nuclei
    recseg train --config-file rsis_synthetic.yaml
    recseg train --config-file rsis_small.yaml --train-data my/train --val-data my/val
    recseg train --config-file ris_small.yaml --one-class --train-data my/annotations/train.json
    recseg train --config-file rsis_cvppp.yaml --num-gpus 4
    torchrun --nproc-per-node 4 tools/train_net.py --config-file rsis_cvppp.yaml
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.engine import default_argument_parser, default_setup
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

from recseg_d2.cli.own_data import (
    FOLDER_TRAIN,
    FOLDER_VAL,
    OWN_DATA_HELP,
    add_decode_option,
    add_own_data_options,
)
from recseg_d2.cli.planning import DEFAULT_FOLD, configure
from recseg_d2.cli.train_checks import check_config, check_data, check_resumable
from recseg_d2.config import get_config_file
from recseg_d2.data.catalog import check_registered
from recseg_d2.data.examination import examine, refuse_unusable
from recseg_d2.data.image_check import ImageChecker
from recseg_d2.data.inputs import ImageReader
from recseg_d2.data.resolution import working_size
from recseg_d2.engine.checkpoints import SafeCheckpointer
from recseg_d2.engine.launch import launch
from recseg_d2.engine.phases import phase_configs, run_phases, select_phase
from recseg_d2.engine.trainer import Trainer
from recseg_d2.engine.weights import check_weights_file, load_weights
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder

logger = logging.getLogger(__name__)

PLAN_FILE = "plan.txt"


def build_parser() -> argparse.ArgumentParser:
    """Detectron2's training options and this package's."""
    parser = default_argument_parser(epilog=__doc__)
    parser.add_argument("--train-data", metavar="PATH", help=OWN_DATA_HELP)
    parser.add_argument("--val-data", metavar="PATH", help="the same, for evaluation")
    parser.add_argument(
        "--fold",
        metavar="K/N",
        help="evaluate on part K of N of --train-data, drawn by SEED, and train on the rest; "
        f"without --config-file and --val-data the default is {DEFAULT_FOLD}",
    )
    parser.add_argument(
        "--minutes",
        type=float,
        metavar="M",
        help="set SOLVER.MAX_ITER to the iterations that fit into M minutes here, by timing the "
        "first of them; for configs without phases",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE",
        help="go on from a checkpoint, or recseg://NAME of the model zoo, whose config is taken "
        "where --config-file names none; the same as MODEL.WEIGHTS",
    )
    add_own_data_options(parser)
    add_decode_option(parser)
    parser.add_argument("--phase", default="", help="run this phase of SOLVER.PHASES alone")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, start the processes, train."""
    args = build_parser().parse_args(argv)
    launch(train, args)
    return 0


def train(args: argparse.Namespace) -> dict[str, Any]:
    """What each process does: set up, then evaluate or run the phases."""
    cfg, phases = setup(args)
    examine_data(cfg, phases.values(), args.eval_only, not args.no_decode)
    if args.eval_only:
        return evaluate(cfg, args.resume)
    return run_phases(phases, run_phase, resume=args.resume)


def setup(args: argparse.Namespace) -> tuple[CfgNode, dict[str, CfgNode]]:
    """The complete config of a run, checked and frozen, and those of the phases to run."""
    cfg, plan = configure(args)
    phases = phase_configs(cfg)
    for phase in phases.values():
        check_config(phase)
        if args.resume:
            check_resumable(phase, cfg)
    check_named_data(cfg, args.eval_only)
    weights = next(iter(phases.values())).MODEL.WEIGHTS
    if args.phase and not args.eval_only:
        phases = select_phase(phases, args.phase)
    elif weights:
        check_weights_file(weights)
    make_folder(cfg.OUTPUT_DIR)
    cfg.freeze()
    if args.config_file:
        args.config_file = str(get_config_file(args.config_file))
    default_setup(cfg, args)
    setup_logger(output=cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="recseg_d2")
    if plan is not None and comm.is_main_process():
        logger.info("%s", plan)
        (Path(cfg.OUTPUT_DIR) / PLAN_FILE).write_text(f"{plan}\n")
    return cfg, phases


def examine_data(cfg: CfgNode, phases: Iterable[CfgNode], eval_only: bool, decode: bool) -> None:
    """Look at all data of a run before its first iteration, in the main process.

    Raises:
        UserError: some of it cannot be used.
    """
    reader = ImageReader(cfg)
    parts = [cfg.DATASETS.TEST] if eval_only else []
    for phase in () if eval_only else phases:
        parts += [phase.DATASETS.TRAIN, phase.DATASETS.TEST]
    if comm.is_main_process():
        images = ImageChecker(decode, reader.frames, reader.check)
        for name in dict.fromkeys(name for part in parts for name in part):
            check_registered(name, "data set")
            refuse_unusable(name, examine(name, images, working_size(cfg)).report)
    comm.synchronize()


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
    checkpointer = SafeCheckpointer(model, save_dir=cfg.OUTPUT_DIR)
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
