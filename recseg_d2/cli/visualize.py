"""Draw what a trained model finds, step by step, and a montage beside the ground truth.

Models with attention get a third figure: where they looked, and the boxes that they chose. Models
of proposals get one of their instance-sensitive maps, and of what is assembled from them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np
from detectron2.data import DatasetCatalog
from tqdm import tqdm

from recseg_d2.cli.model_options import (
    add_model_arguments,
    find_images,
    load_model_config,
    log_to_terminal,
    parse_arguments,
)
from recseg_d2.cli.own_data import (
    FOLDER_VAL,
    OWN_DATA_HELP,
    add_own_data_options,
    register_given,
)
from recseg_d2.data.catalog import check_registered
from recseg_d2.engine.predictor import Predictor
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder
from recseg_d2.visualization.panels import PANEL_SIDE
from recseg_d2.visualization.pictures import draw_pictures

DEFAULT_NUM = 8


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg visualize``."""
    parser = argparse.ArgumentParser(
        prog="recseg visualize",
        description="Draw what a trained model finds, step by step, and a montage beside the "
        "ground truth.",
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", metavar="NAME", help="a registered data set")
    source.add_argument("--val-data", metavar="PATH", help=OWN_DATA_HELP)
    source.add_argument(
        "--input", nargs="+", metavar="FILE_OR_FOLDER", help="images, without ground truth"
    )
    add_own_data_options(parser)
    parser.add_argument(
        "--num",
        type=int,
        default=DEFAULT_NUM,
        metavar="N",
        help=f"images to draw, spread evenly over all that there are (default {DEFAULT_NUM})",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="made where it is missing")
    parser.add_argument(
        "--side",
        type=int,
        default=PANEL_SIDE,
        metavar="PIXELS",
        help=f"longest side of a panel (default {PANEL_SIDE})",
    )
    parser.add_argument(
        "--per-row", type=int, default=1, metavar="N", help="images side by side in the montage"
    )
    parser.add_argument(
        "--all-glimpses",
        action="store_true",
        help="in the figures of models with attention, a row for every glimpse",
    )
    add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; 0 when all is drawn."""
    args = parse_arguments(build_parser(), argv)
    for name in ("num", "side", "per_row"):
        if getattr(args, name) < 1:
            option = "--" + name.replace("_", "-")
            raise UserError(f"{option} is {getattr(args, name)}; expected 1 or more.")
    log_to_terminal()
    make_folder(args.output)
    if args.val_data:
        register_given(FOLDER_VAL, args.val_data, args)
    name = FOLDER_VAL if args.val_data else args.dataset
    # spread over the data set: neighbouring images are often frames of one film
    dicts = spread(dataset_dicts(name) if name else file_dicts(args.input), args.num)
    predictor = Predictor(load_model_config(args), args.batch_size)
    outputs = predictor.outputs((record["file_name"] for record in dicts), with_trace=True)
    shown = tqdm(outputs, total=len(dicts), unit="image", desc="draw")
    look = (args.side, args.per_row, args.all_glimpses)
    files = draw_pictures(predictor.model, dicts, shown, args.output, *look)
    print("\n".join(str(path) for path in files))
    return 0


def dataset_dicts(name: str) -> list[dict[str, Any]]:
    """The standard dicts of a registered data set.

    Raises:
        UserError: no data set of that name is registered, or it has no image.
    """
    check_registered(name, "--dataset")
    dicts = DatasetCatalog.get(name)
    if not dicts:
        raise UserError(f"--dataset: {name!r} has no image.")
    return dicts


def file_dicts(inputs: Sequence[str]) -> list[dict[str, Any]]:
    """Dicts of image files without ground truth; see ``find_images`` for what is refused."""
    return [{"file_name": str(path), "image_id": path.stem} for path in find_images(inputs)]


def spread(dicts: Sequence[dict[str, Any]], count: int) -> list[dict[str, Any]]:
    """At most ``count`` of them at even distances, the first and the last included."""
    count = min(count, len(dicts))
    return [dicts[i] for i in np.linspace(0, len(dicts) - 1, count).round().astype(int)]
