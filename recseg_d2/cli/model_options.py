"""What tools share: the arguments of a trained model, its config, input files."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Sequence
from pathlib import Path

from detectron2.config import CfgNode
from detectron2.utils.logger import setup_logger

from recseg_d2.config import get_config_file, get_recseg_cfg, load_config, parse_config
from recseg_d2.data.io.image_files import IMAGE_EXTENSIONS, is_image_name
from recseg_d2.engine.thresholds import set_score_thresh
from recseg_d2.errors import UserError
from recseg_d2.model_zoo import Card, get_checkpoint, read_card
from recseg_d2.model_zoo.registry import PREFIX

TRAINED_CONFIG = "config.yaml"  # what training leaves in its output folder
TRAINED_WEIGHTS = "model_final.pth"


def add_model_arguments(
    parser: argparse.ArgumentParser, ensemble: bool = False, batches: bool = True
) -> None:
    """Add --config-file, --weights, --batch-size, --score-thresh and KEY VALUE pairs.

    Args:
        parser: of a tool.
        ensemble: whether --ensemble may stand for --weights.
        batches: whether there is --batch-size.
    """
    parser.add_argument(
        "--config-file",
        metavar="FILE",
        help="a config, or the name of a shipped one; default: the config.yaml beside the weights",
    )
    models = parser.add_mutually_exclusive_group(required=True)
    models.add_argument(
        "--weights",
        metavar="FILE_OR_FOLDER",
        help="a checkpoint, the output folder of a training run, or recseg://NAME of the model zoo",
    )
    if ensemble:
        models.add_argument(
            "--ensemble",
            nargs="+",
            metavar="W",
            help="several models, each as --weights: what half of them or more find is kept",
        )
    if batches:
        parser.add_argument(
            "--batch-size", type=int, default=1, metavar="N", help="images at a time"
        )
    parser.add_argument(
        "--score-thresh",
        type=float,
        metavar="X",
        help="a sequence stops at the first step scored below this, and proposals scored below "
        "it are no instances; 0 to 1",
    )
    add_config_options(parser)


def add_config_options(parser: argparse.ArgumentParser) -> None:
    """Add config overrides, KEY VALUE pairs behind the options as Detectron2's tools have them."""
    parser.add_argument(
        "opts", nargs="*", metavar="KEY VALUE", help="config keys to change, behind the options"
    )


def parse_arguments(
    parser: argparse.ArgumentParser, argv: Sequence[str] | None
) -> argparse.Namespace:
    """Parse a command line with ``add_config_options``.

    The pairs are taken out first, since an option that takes several values would take them too.

    Args:
        parser: the parser of the tool's arguments.
        argv: the arguments; None takes those of the process.
    """
    given = list(sys.argv[1:] if argv is None else argv)
    others: list[str] = []
    pairs: list[str] = []
    while given:
        taken = 2 if len(given) > 1 and _is_config_key(given[0]) else 1
        (pairs if taken == 2 else others).extend(given[:taken])
        del given[:taken]
    args = parser.parse_args(others)
    args.opts = [*pairs, *args.opts]
    return args


def load_model_config(args: argparse.Namespace, weights: str | None = None) -> CfgNode:
    """The complete config that the arguments of ``add_model_arguments`` ask for, frozen.

    Args:
        args: the parsed arguments.
        weights: in place of --weights, as one of --ensemble.

    Raises:
        UserError: a file is missing, or a key or value is wrong.
    """
    weights = _weights_file(args.weights if weights is None else weights)
    cfg = _config_of(args.config_file, weights, args.opts)
    cfg.MODEL.WEIGHTS = weights
    if args.score_thresh is not None:
        if not 0 <= args.score_thresh <= 1:
            raise UserError(f"--score-thresh is {args.score_thresh}; expected 0 to 1.")
        set_score_thresh(cfg, args.score_thresh)
    cfg.freeze()
    return cfg


def find_images(inputs: Sequence[str]) -> list[Path]:
    """Image files in the given order; a folder gives the images in it, sorted by name.

    Raises:
        UserError: an input does not exist, a folder has no image, or two files have the same stem,
            under which their results are stored.
    """
    paths = [path for name in inputs for path in _images_of(Path(name))]
    by_stem: dict[str, Path] = {}
    for path in paths:
        other = by_stem.setdefault(path.stem, path)
        if other is not path:
            raise UserError(
                f"{other} and {path} would both be stored as {path.stem!r}; rename one, or run "
                "them into different output folders."
            )
    return paths


def log_to_terminal() -> None:
    """Show warnings of Detectron2, its libraries and this package."""
    for name in ("fvcore", "detectron2", "recseg_d2"):
        setup_logger(name=name).setLevel(logging.WARNING)


def _is_config_key(text: str) -> bool:
    """Whether it begins like one of the config's keys, and is no file of that name."""
    top, *below = text.split(".")
    cfg = get_recseg_cfg()
    if top not in cfg or Path(text).exists():
        return False
    return all(below) and isinstance(cfg[top], CfgNode) == bool(below)


def _images_of(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise UserError(f"--input: there is no file or folder {path}.")
    images = sorted(p for p in path.iterdir() if is_image_name(p))
    if not images:
        raise UserError(f"--input: no image in {path}; looked for {', '.join(IMAGE_EXTENSIONS)}.")
    return images


def _weights_file(weights: str) -> str:
    """The checkpoint itself; in a folder it is the one that training ends with."""
    folder = Path(weights)
    if not folder.is_dir():
        return weights
    if (folder / TRAINED_WEIGHTS).is_file():
        return str(folder / TRAINED_WEIGHTS)
    there = sorted(p.name for p in folder.glob("*.pth"))
    raise UserError(
        f"--weights: there is no {TRAINED_WEIGHTS} in {folder}; name one of the checkpoints in it "
        f"({', '.join(there) or 'there are none'}), or finish the training."
    )


def _config_of(name: str | None, weights: str, opts: Sequence[str]) -> CfgNode:
    """The config that is named, or that the weights bring, or that lies beside them."""
    if name is None and (card := card_of(weights)) is not None:
        return parse_config(card.config, weights, opts)
    return load_config(_config_file(name, weights), opts)


def card_of(weights: str) -> Card | None:
    """What a published weights file says of itself; None for checkpoints of a training.

    Raises:
        UserError: there is no such model in the zoo, or the file cannot be read.
    """
    if weights.startswith(PREFIX):
        return read_card(get_checkpoint(weights.removeprefix(PREFIX)))
    return read_card(weights) if Path(weights).is_file() else None


def _config_file(name: str | None, weights: str) -> Path:
    if name is None:
        beside = Path(weights).parent / TRAINED_CONFIG
        if not beside.is_file():
            raise UserError(
                f"There is no {TRAINED_CONFIG} beside {weights}; name the config that the weights "
                "were trained with by --config-file."
            )
        return beside
    try:
        return get_config_file(name)
    except FileNotFoundError as error:
        raise UserError(f"--config-file: {error}") from error
