"""Predict the instances of images: label maps, COCO-style JSON, counts and pictures.

What it writes is described in ``recseg_d2.engine.outputs``. Under torchrun several processes share
the images: ``torchrun --nproc-per-node 4 -m recseg_d2.cli predict ...``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.config import CfgNode
from detectron2.data import DatasetCatalog
from detectron2.utils import comm
from tqdm import tqdm

from recseg_d2.cli.model_options import (
    add_model_arguments,
    find_images,
    load_model_config,
    log_to_terminal,
    parse_arguments,
)
from recseg_d2.data.coco_results import categories_of
from recseg_d2.data.formats import FILE_FORMATS
from recseg_d2.data.inputs import ImageReader
from recseg_d2.data.io.images import for_display
from recseg_d2.engine.launch import join
from recseg_d2.engine.outputs import DEFAULT_OUTPUTS, OUTPUTS, PredictedImage, PredictionWriter
from recseg_d2.engine.predictor import Predictor, batched
from recseg_d2.errors import UserError
from recseg_d2.postprocess import keep_whole

FORMATS = tuple(name for name in FILE_FORMATS if name in OUTPUTS)


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg predict``."""
    parser = argparse.ArgumentParser(
        prog="recseg predict",
        description="Predict the instances of images with a trained model.",
        epilog="DIR gets labels/ (label maps, 0 is background), predictions.json (COCO's results "
        "with RLE masks; recseg analyze reads them), counts.csv, overlays/ and, if asked for, "
        "sequences/.",
    )
    parser.add_argument(
        "--input", nargs="+", required=True, metavar="FILE_OR_FOLDER", help="images to look at"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="made where it is missing")
    parser.add_argument("--no-overlays", action="store_true", help="do not draw overlays/")
    parser.add_argument(
        "--sequences", action="store_true", help="draw sequences/: a panel for every step"
    )
    parser.add_argument(
        "--resume", action="store_true", help="go on: leave out what DIR has predictions of"
    )
    parser.add_argument(
        "--strict", action="store_true", help="stop at the first image that cannot be read"
    )
    parser.add_argument(
        "--format",
        nargs="+",
        choices=[name for name in OUTPUTS if name not in DEFAULT_OUTPUTS],
        default=[],
        metavar="NAME",
        help="write more: measurements (a table), or a folder of files for other programs: "
        f"{', '.join(FORMATS)}",
    )
    parser.add_argument(
        "--pixel-size",
        type=float,
        metavar="UM",
        help="side of a pixel in micrometres, for the table of measurements",
    )
    parser.add_argument(
        "--min-area", type=int, default=0, metavar="N", help="leave out objects of fewer pixels"
    )
    parser.add_argument(
        "--drop-border", action="store_true", help="leave out objects that the border cuts"
    )
    add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; 0 when all images were processed, 1 when some could not be read."""
    args = parse_arguments(build_parser(), argv)
    if args.min_area < 0 or (args.pixel_size is not None and not args.pixel_size > 0):
        raise UserError(
            f"--min-area is {args.min_area} and --pixel-size {args.pixel_size}; expected 0 or "
            "more, and above 0."
        )
    log_to_terminal()
    code: int = join(predict, args)
    return code


def predict(args: argparse.Namespace) -> int:
    """What each process does: predict its share of the images, and the first one sums up."""
    paths = find_images(args.input)
    predictor = Predictor(load_model_config(args), args.batch_size)
    left_out = {"overlays"} if args.no_overlays else set()
    outputs = [name for name in DEFAULT_OUTPUTS if name not in left_out]
    outputs += [*(["sequences"] if args.sequences else []), *args.format]
    writer = PredictionWriter(args.output, list(dict.fromkeys(outputs)), args.resume)
    own = paths[comm.get_rank() :: comm.get_world_size()]
    left = [path for path in own if not writer.is_done(path)]
    classes = _categories(predictor.cfg), getattr(predictor.model, "ordered", False)
    unreadable: list[Path] = []
    with tqdm(total=len(left), unit="image", desc="predict") as progress:
        # a file that cannot be read must not end a run over thousands of others
        readable = _read(left, predictor.reader, unreadable, progress, args.strict)
        for batch in batched(readable, args.batch_size):
            found = predictor(image for _, image in batch)
            for (path, image), instances in zip(batch, found, strict=True):
                rgb = for_display(image)[..., ::-1]
                pixels = image[..., ::-1] if image.shape[2] == 3 else image
                kept = keep_whole(instances, args.min_area, args.drop_border)
                size = args.pixel_size
                writer.add(PredictedImage(path, rgb, kept, *classes, pixels, size))
                progress.update()
    unreadable = [path for part in comm.all_gather(unreadable) for path in part]
    if not comm.is_main_process():
        return int(bool(unreadable))
    writer.finish(paths)
    print(f"{writer.num_images} images, {writer.num_instances} objects: {args.output}")
    return _report(unreadable, len(paths))


def _categories(cfg: CfgNode) -> list[dict[str, Any]]:
    """The classes of the data that the model was trained on, as far as they are known here."""
    names = [name for name in cfg.DATASETS.TRAIN if name in DatasetCatalog.list()]
    return categories_of(names[0]) if names else []


def _read(
    paths: Sequence[Path],
    reader: ImageReader,
    unreadable: list[Path],
    progress: tqdm,
    strict: bool,
) -> Iterator[tuple[Path, np.ndarray]]:
    """Each path with its pixels; those that cannot be read are named and left out."""
    for path in paths:
        try:
            image = reader.read(path)
        except UserError as error:
            if strict:
                raise
            unreadable.append(path)
            progress.write(f"skipped: {error}", file=sys.stderr)
            progress.update()
        else:
            yield path, image


def _report(unreadable: Sequence[Path], total: int) -> int:
    """Say what was left out; the exit code."""
    if not unreadable:
        return 0
    names = ", ".join(str(path) for path in unreadable)
    print(f"{len(unreadable)} of {total} images could not be read: {names}", file=sys.stderr)
    return 1
