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

SIGTERM, SIGUSR1 and Ctrl-C end a training after the iteration that it is in, with its state saved;
--resume goes on from there, and a second Ctrl-C ends it at once.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.engine import default_argument_parser
from detectron2.utils import comm

from recseg_d2.cli.model_options import parse_arguments
from recseg_d2.cli.own_data import (
    FOLDER_TRAIN,
    FOLDER_VAL,
    OWN_DATA_HELP,
    add_decode_option,
    add_own_data_options,
)
from recseg_d2.cli.planning import DEFAULT_FOLD, WHOLE, configure
from recseg_d2.cli.train_checks import check_config, check_data
from recseg_d2.data.catalog import check_registered
from recseg_d2.data.examination import examine, log_warnings, refuse_unusable
from recseg_d2.data.image_check import ImageChecker
from recseg_d2.data.inputs import ImageReader
from recseg_d2.data.resolution import working_size
from recseg_d2.data.validation import Report
from recseg_d2.engine.checkpoints import (
    FINAL,
    RunCheckpointer,
    forget_finished,
    is_finished,
    record_finished,
)
from recseg_d2.engine.launch import launch
from recseg_d2.engine.phases import phase_configs, run_phases, select_phase
from recseg_d2.engine.plan import Plan
from recseg_d2.engine.run_folder import (
    check_resumable,
    check_unused,
    clear,
    holds_results,
    owned,
    with_chosen_thresh,
    write_config,
)
from recseg_d2.engine.run_setup import set_up
from recseg_d2.engine.stopping import StopRequests, listening
from recseg_d2.engine.trainer import Trainer
from recseg_d2.engine.weights import check_weights_file, load_weights
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder, write_whole

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
        f"without --config-file and --val-data the default is {DEFAULT_FOLD}; "
        f"{WHOLE} trains on all of it",
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
    parser.add_argument(
        "--overwrite", action="store_true", help="replace the run that OUTPUT_DIR holds"
    )
    parser.add_argument(
        "--deterministic", action="store_true", help="the same numbers each time, on GPUs as well"
    )
    parser.add_argument("--phase", default="", help="run this phase of SOLVER.PHASES alone")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, start the processes, train."""
    args = parse_arguments(build_parser(), argv)
    launch(train, args)
    return 0


def train(args: argparse.Namespace) -> dict[str, Any]:
    """What each process does: set up, then evaluate or run the phases."""
    with ExitStack() as held:
        requests = held.enter_context(listening())
        cfg, phases, plan = configs(args)
        reports = examine_data(cfg, phases.values(), args)
        make_folder(cfg.OUTPUT_DIR)
        # without the folder's lock: a training may be writing to it
        if args.eval_only:
            return evaluate(cfg, args, reports)
        if comm.is_main_process():
            held.enter_context(owned(cfg.OUTPUT_DIR))
            prepare_folders(phases, args, cfg.OUTPUT_DIR)
        # the others look into the folder only when the main process has cleared it
        comm.synchronize()
        set_up(cfg, args)
        log_warnings(reports)
        if plan is not None and comm.is_main_process():
            logger.info("%s", plan)
            with write_whole(Path(cfg.OUTPUT_DIR) / PLAN_FILE) as file:
                file.write(f"{plan}\n")
        chosen = select_phase(phases, args.phase) if args.phase else phases
        return run_phases(chosen, partial(run_phase, requests=requests), resume=args.resume)


def configs(args: argparse.Namespace) -> tuple[CfgNode, dict[str, CfgNode], Plan | None]:
    """The complete config of a run, checked and frozen, those of its phases, and its plan."""
    if args.resume and args.overwrite:
        raise UserError("--resume goes on with a run, --overwrite replaces it; give one of them.")
    cfg, plan = configure(args)
    phases = phase_configs(cfg)
    for phase in phases.values():
        check_config(phase, trains=not args.eval_only)
    check_named_data(cfg, args.eval_only)
    weights = next(iter(phases.values())).MODEL.WEIGHTS
    if weights and not args.phase:
        check_weights_file(weights)
    cfg.freeze()
    return cfg, phases, plan


def prepare_folders(phases: Mapping[str, CfgNode], args: argparse.Namespace, root: str) -> None:
    """See that the folders of a run are its own, or refuse them; in the main process alone."""
    chosen = {args.phase: phases[args.phase]} if args.phase in phases else phases
    if args.resume:
        check_resumable(phases, root)
    elif args.overwrite:
        clear(chosen)
    else:
        check_unused(chosen)


def examine_data(
    cfg: CfgNode, phases: Iterable[CfgNode], args: argparse.Namespace
) -> dict[str, Report]:
    """Look at all data of a run before anything is changed for it, in the main process.

    Returns:
        The reports by the names of the data sets; empty in other processes.

    Raises:
        UserError: some of it cannot be used.
    """
    reader = ImageReader(cfg)
    parts = [cfg.DATASETS.TEST] if args.eval_only else []
    for phase in () if args.eval_only else phases:
        parts += [phase.DATASETS.TRAIN, phase.DATASETS.TEST]
    reports = {}
    if comm.is_main_process():
        images = ImageChecker(not args.no_decode, reader.frames, reader.check)
        for name in dict.fromkeys(name for part in parts for name in part):
            check_registered(name, "data set")
            reports[name] = examine(name, images, working_size(cfg)).report
            refuse_unusable(name, reports[name])
    comm.synchronize()
    return reports


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


def run_phase(cfg: CfgNode, resume: bool, requests: StopRequests | None = None) -> dict[str, Any]:
    """Train one phase to its end; returns the results of its last evaluation.

    Args:
        cfg: config of the phase.
        resume: whether to go on from its last checkpoint, if there is one.
        requests: the signals to stop that this process got.
    """
    # now, not after hours of training, when the first evaluation would find it
    check_data(cfg)
    folder = Path(make_folder(cfg.OUTPUT_DIR))
    finished = resume and is_finished(folder, cfg.SOLVER.MAX_ITER)
    if finished:
        cfg = with_chosen_thresh(cfg)
    if comm.is_main_process():
        write_config(cfg)
    trainer = Trainer(cfg, requests)
    if finished:
        logger.info("%s is finished: raise SOLVER.MAX_ITER to go on.", folder)
        load_weights(trainer.model, str(folder / FINAL))
        return Trainer.test(cfg, trainer.model) if cfg.DATASETS.TEST else {}
    trainer.resume_or_load(resume=resume)
    logger.info(
        "%s: iterations %d to %d, from %s",
        folder,
        trainer.start_iter,
        cfg.SOLVER.MAX_ITER,
        "its last checkpoint" if trainer.start_iter else cfg.MODEL.WEIGHTS or "random weights",
    )
    forget_finished(folder)
    trainer.train()
    if comm.is_main_process():
        record_finished(folder, trainer.iter, trainer.ended_early)
    return trainer.last_results


def evaluate(
    cfg: CfgNode, args: argparse.Namespace, reports: Mapping[str, Report]
) -> dict[str, Any]:
    """Evaluate MODEL.WEIGHTS (or, on resuming, the last checkpoint) on DATASETS.TEST."""
    set_up(cfg, args)
    log_warnings(reports)
    check_data(cfg)
    if comm.is_main_process() and not holds_results(cfg.OUTPUT_DIR):
        write_config(cfg)
    model = Trainer.build_model(cfg)
    weights = cfg.MODEL.WEIGHTS
    if args.resume and is_finished(cfg.OUTPUT_DIR, 0):
        weights = str(Path(cfg.OUTPUT_DIR) / FINAL)
    elif args.resume:
        weights = str(RunCheckpointer(model, cfg.OUTPUT_DIR).newest_readable() or weights)
    if not weights:
        raise UserError(
            "--eval-only needs MODEL.WEIGHTS <file>, or --resume and a checkpoint in OUTPUT_DIR "
            f"({cfg.OUTPUT_DIR})."
        )
    load_weights(model, weights)
    return Trainer.test(cfg, model)
