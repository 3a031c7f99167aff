"""``recseg train`` / ``tools/train_net.py``: train and evaluate any model of any config.

May use: everything. Examples:

    recseg train --config-file rsis_synthetic.yaml
    recseg train --config-file rsis_nuclei.yaml --train-data my/train --val-data my/val
    python tools/train_net.py --config-file configs/rsis_cvppp.yaml --num-gpus 4
    torchrun --nproc-per-node 4 tools/train_net.py --config-file configs/rsis_cvppp.yaml
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from detectron2.checkpoint import DetectionCheckpointer  # isort: split

from detectron2.config import CfgNode
from detectron2.data import MetadataCatalog
from detectron2.engine import default_argument_parser, default_setup
from detectron2.utils import comm
from detectron2.utils.logger import setup_logger

import recseg_d2  # noqa: F401  (before any detectron2 import)
from recseg_d2.config import get_config_file, load_config
from recseg_d2.data.datasets.label_maps import register_folder
from recseg_d2.engine.device import resolve_device
from recseg_d2.engine.launch import launch
from recseg_d2.engine.phases import phase_configs, run_phases
from recseg_d2.engine.trainer import Trainer
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

FOLDER_TRAIN, FOLDER_VAL = "folder_train", "folder_val"


def build_parser() -> argparse.ArgumentParser:
    """Detectron2's training options and this package's."""
    parser = default_argument_parser(epilog=__doc__)
    parser.add_argument("--train-data", metavar="DIR", help="folder with images/ and labels/")
    parser.add_argument("--val-data", metavar="DIR", help="the same, for evaluation")
    parser.add_argument("--min-objects", type=int, default=0, help="leave out images with fewer")
    parser.add_argument("--max-objects", type=int, help="leave out images with more")
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
    """Register the folders of the command line, in this process."""
    for name, folder in ((FOLDER_TRAIN, args.train_data), (FOLDER_VAL, args.val_data)):
        if folder:
            register_folder(
                name, folder, min_objects=args.min_objects, max_objects=args.max_objects
            )


def setup(args: argparse.Namespace) -> CfgNode:
    """The complete config of a run, checked and frozen."""
    cfg = load_config(args.config_file, args.opts)
    if args.train_data:
        cfg.DATASETS.TRAIN = (FOLDER_TRAIN,)
        cfg.DATASETS.TEST = ()
    if args.val_data:
        cfg.DATASETS.TEST = (FOLDER_VAL,)
    cfg.MODEL.DEVICE = resolve_device(cfg)
    for phase in phase_configs(cfg):
        check_classes(phase)
    cfg.freeze()
    if args.config_file:
        args.config_file = str(get_config_file(args.config_file))
    default_setup(cfg, args)
    setup_logger(output=cfg.OUTPUT_DIR, distributed_rank=comm.get_rank(), name="recseg_d2")
    return cfg


def check_classes(cfg: CfgNode) -> None:
    """Refuse a model whose number of classes is not the data set's."""
    wanted = cfg.MODEL.RECURRENT.NUM_CLASSES
    for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST):
        classes = getattr(MetadataCatalog.get(name), "thing_classes", None)
        if classes is not None and len(classes) != wanted:
            raise UserError(
                f"MODEL.RECURRENT.NUM_CLASSES is {wanted}, but data set {name!r} has "
                f"{len(classes)} ({', '.join(classes[:5])} ...): set it to {len(classes)}."
            )


def run_phase(cfg: CfgNode, resume: bool) -> dict[str, Any]:
    """Train one phase; returns the results of its last evaluation."""
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    if comm.is_main_process():
        (Path(cfg.OUTPUT_DIR) / "config.yaml").write_text(cfg.dump())
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=resume)
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
    if not (cfg.MODEL.WEIGHTS or resume):
        raise UserError("--eval-only needs MODEL.WEIGHTS <file>, or --resume for the last ones.")
    model = Trainer.build_model(cfg)
    checkpointer = DetectionCheckpointer(model, save_dir=cfg.OUTPUT_DIR)
    checkpointer.resume_or_load(cfg.MODEL.WEIGHTS, resume=resume)
    return Trainer.test(cfg, model)
