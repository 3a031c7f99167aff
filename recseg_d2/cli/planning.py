"""The config of a training: from a file, or planned from the data that the command line names."""

from __future__ import annotations

import argparse
from dataclasses import replace

from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm

from recseg_d2.cli.model_options import card_of
from recseg_d2.cli.own_data import FOLDER_TRAIN, FOLDER_VAL, register_given
from recseg_d2.config import load_config, parse_config
from recseg_d2.data.facts import look_at
from recseg_d2.data.inputs import ImageReader
from recseg_d2.data.sources.base import Fold
from recseg_d2.engine.phases import phase_configs
from recseg_d2.engine.plan import CONFIG, Decision, Plan, plan_training
from recseg_d2.engine.timing import iterations_within, seconds_per_iteration
from recseg_d2.errors import UserError

DEFAULT_FOLD = "1/5"
WHOLE = "none"  # of --fold: nothing is held out


def configure(args: argparse.Namespace) -> tuple[CfgNode, Plan | None]:
    """Register the data of the command line in this process, and make the config.

    Args:
        args: parsed arguments of ``recseg train``.

    Returns:
        The config with the data sets of the command line, and the plan where there was no file.

    Raises:
        UserError: an option, the data or the config is not as it has to be.
    """
    planned = not args.config_file and bool(args.train_data)
    folds = _folds(args, planned)
    file = CONFIG if planned else args.config_file
    plan = None
    if args.train_data:
        register_given(FOLDER_TRAIN, args.train_data, args, folds[0])
    if planned:
        classes = MetadataCatalog.get(FOLDER_TRAIN).thing_classes
        frames = ImageReader(_config(args, file)).frames
        plan = plan_training(look_at(DatasetCatalog.get(FOLDER_TRAIN), frames), classes)
        if args.weights:
            plan = plan.going_on()
    cfg = _config(args, file, plan)
    if args.train_data:
        cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = (FOLDER_TRAIN,), ()
    if args.val_data or folds[1]:
        register_given(FOLDER_VAL, args.val_data or args.train_data, args, folds[1])
        cfg.DATASETS.TEST = (FOLDER_VAL,)
    if args.minutes is not None:
        decision = _fit_into(cfg, args.minutes)
        plan = plan and replace(plan, decisions=(*plan.decisions, decision))
    return cfg, plan


def _config(args: argparse.Namespace, file: str, plan: Plan | None = None) -> CfgNode:
    """The config of a file or of the weights to go on from, with the plan's and the user's keys."""
    opts = [*([] if plan is None else plan.options()), *args.opts]
    if args.weights:
        opts += ["MODEL.WEIGHTS", args.weights]
    card = card_of(args.weights) if args.weights and not args.config_file else None
    if card is not None:
        return parse_config(card.config, args.weights, opts)
    return load_config(file, opts)


def _folds(args: argparse.Namespace, planned: bool) -> tuple[Fold | None, Fold | None]:
    """Which images of --train-data to train and to evaluate on; None is all, or none."""
    text = args.fold
    if text is None and planned and not args.val_data:
        text = DEFAULT_FOLD
    if text in (None, WHOLE):
        return None, None
    if args.val_data or not args.train_data:
        raise UserError("--fold divides --train-data: give that, and no --val-data.")
    try:
        number, count = (int(part) for part in text.split("/"))
    except ValueError:
        number, count = 0, 0
    if not 1 <= number <= count or count < 2:
        raise UserError(
            f"--fold is {text!r}; expected K/N, such as 1/5, with K from 1 to N, or {WHOLE}."
        )
    return Fold(number - 1, count, held_out=False), Fold(number - 1, count, held_out=True)


def _fit_into(cfg: CfgNode, minutes: float) -> Decision:
    """Set SOLVER.MAX_ITER by the clock."""
    if minutes <= 0:
        raise UserError(f"--minutes is {minutes}; expected a number above 0.")
    if cfg.SOLVER.PHASES:
        raise UserError("--minutes is for configs without SOLVER.PHASES; set the phases' MAX_ITER.")
    if len(phase_configs(cfg)) != 1 or not cfg.DATASETS.TRAIN:
        raise UserError("--minutes needs data to train on: give --train-data.")
    seconds = comm.all_gather(seconds_per_iteration(cfg))[0]  # processes agree on one clock
    count = iterations_within(seconds, minutes)
    cfg.SOLVER.MAX_ITER = count
    reason = f"{minutes:g} minutes at {seconds:.2f} s an iteration, without evaluations"
    return Decision("SOLVER.MAX_ITER", count, reason)
