"""Predict the instances of images: label maps, COCO-style JSON, counts and pictures.

What it writes is described in ``recseg_d2.engine.outputs``. Under torchrun several processes share
the images: ``torchrun --nproc-per-node 4 -m recseg_d2.cli predict ...``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
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
from recseg_d2.data.formats import BITS, FILE_FORMATS
from recseg_d2.data.io.images import for_display
from recseg_d2.engine.ensembles import EnsemblePredictor
from recseg_d2.engine.launch import join
from recseg_d2.engine.outputs import (
    DEFAULT_OUTPUTS,
    OUTPUTS,
    PredictedImage,
    PredictionWriter,
    outputs_with,
)
from recseg_d2.engine.predictor import Predictor, batched
from recseg_d2.engine.stacks import STACK_OUTPUTS, PredictedStack, predict_stack
from recseg_d2.errors import UserError
from recseg_d2.postprocess import keep_whole
from recseg_d2.postprocess.stacks import keep_whole_volumes

AnyPredictor = Predictor | EnsemblePredictor

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
    parser.add_argument(
        "--resume", action="store_true", help="go on: leave out what DIR has predictions of"
    )
    parser.add_argument(
        "--strict", action="store_true", help="stop at the first image that cannot be read"
    )
    _add_outputs(parser)
    _add_stacks(parser)
    add_model_arguments(parser, ensemble=True)
    return parser


def _add_outputs(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("what is written")
    group.add_argument("--no-overlays", action="store_true", help="do not draw overlays/")
    group.add_argument(
        "--sequences", action="store_true", help="draw sequences/: a panel for every step"
    )
    group.add_argument(
        "--format",
        nargs="+",
        choices=[name for name in OUTPUTS if name not in DEFAULT_OUTPUTS],
        default=[],
        metavar="NAME",
        help="write more: measurements (a table), or a folder of files for other programs: "
        f"{', '.join(FORMATS)}",
    )
    group.add_argument(
        "--bits",
        type=int,
        choices=BITS,
        help="of label maps as PNG (16 at most), tif, ome and npy; default: as many as the objects "
        "need, 16 or more but in PNG",
    )
    group.add_argument(
        "--pixel-size",
        type=float,
        metavar="UM",
        help="side of a pixel in micrometres, for the table of measurements",
    )
    group.add_argument(
        "--min-area",
        type=int,
        default=0,
        metavar="N",
        help="leave out objects of fewer pixels, with --stack of fewer voxels",
    )
    group.add_argument(
        "--drop-border", action="store_true", help="leave out objects that the border cuts"
    )


def _add_stacks(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("stacks of images")
    group.add_argument(
        "--stack",
        action="store_true",
        help="files are stacks: predict each page, link the objects over the pages, and write "
        "labels/*.tif (label stacks), counts.csv and measurements.csv",
    )
    group.add_argument(
        "--link-iou",
        type=float,
        default=0.25,
        metavar="X",
        help="--stack: objects of two pages of this IoU or more are one; above 0, up to 1 "
        "(default: %(default)s)",
    )
    group.add_argument(
        "--slice-distance",
        type=float,
        metavar="UM",
        help="--stack: from a page to the next in micrometres, for volumes with --pixel-size",
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; 0 when all images were processed, 1 when some could not be read."""
    args = parse_arguments(build_parser(), argv)
    _check(args)
    log_to_terminal()
    code: int = join(predict, args)
    return code


def _check(args: argparse.Namespace) -> None:
    sizes = [s for s in (args.pixel_size, args.slice_distance) if s is not None]
    if args.min_area < 0 or not all(size > 0 for size in sizes):
        raise UserError(
            f"--min-area is {args.min_area}, --pixel-size {args.pixel_size} and --slice-distance "
            f"{args.slice_distance}; expected 0 or more, and above 0."
        )
    if not 0 < args.link_iou <= 1:
        raise UserError(f"--link-iou is {args.link_iou}; expected above 0 and up to 1.")
    others = args.sequences or args.bits is not None or set(args.format) - STACK_OUTPUTS.keys()
    if args.stack and others:
        raise UserError(
            f"--stack writes {', '.join(STACK_OUTPUTS)} alone; leave out --sequences, --bits and "
            "other values of --format."
        )


def predict(args: argparse.Namespace) -> int:
    """What each process does: predict its share of the images, and the first one sums up."""
    paths = find_images(args.input)
    predictor = _predictor(args)
    writer = _writer(args)
    own = paths[comm.get_rank() :: comm.get_world_size()]
    left = [path for path in own if not writer.is_done(path)]
    read = predictor.reader.read_stack if args.stack else predictor.reader.read
    found_in = _found_in_stacks if args.stack else _found_in_images
    unreadable: list[Path] = []
    with tqdm(total=len(left), unit="stack" if args.stack else "image", desc="predict") as progress:
        # a file that cannot be read must not end a run over thousands of others
        readable = _read(left, read, unreadable, progress, args.strict)
        for predicted in found_in(predictor, readable, args):
            writer.add(predicted)
            progress.update()
    unreadable = [path for part in comm.all_gather(unreadable) for path in part]
    if not comm.is_main_process():
        return int(bool(unreadable))
    writer.finish(paths)
    unit = "stacks" if args.stack else "images"
    print(f"{writer.num_images} {unit}, {writer.num_instances} objects: {args.output}")
    return _report(unreadable, len(paths))


def _predictor(args: argparse.Namespace) -> AnyPredictor:
    if args.ensemble is None:
        return Predictor(load_model_config(args), args.batch_size)
    configs = [load_model_config(args, weights) for weights in args.ensemble]
    return EnsemblePredictor([Predictor(cfg, args.batch_size) for cfg in configs])


def _writer(args: argparse.Namespace) -> PredictionWriter:
    if args.stack:
        return PredictionWriter(args.output, list(STACK_OUTPUTS), args.resume, STACK_OUTPUTS)
    left_out = {"overlays"} if args.no_overlays else set()
    outputs = [name for name in DEFAULT_OUTPUTS if name not in left_out]
    outputs += [*(["sequences"] if args.sequences else []), *args.format]
    names = list(dict.fromkeys(outputs))
    return PredictionWriter(args.output, names, args.resume, outputs_with(args.bits))


def _found_in_images(
    predictor: AnyPredictor, images: Iterable[tuple[Path, np.ndarray]], args: argparse.Namespace
) -> Iterator[PredictedImage]:
    classes = _categories(predictor.cfg), predictor.ordered
    for batch in batched(images, args.batch_size):
        found = predictor(image for _, image in batch)
        for (path, image), instances in zip(batch, found, strict=True):
            rgb = for_display(image)[..., ::-1]
            kept = keep_whole(instances, args.min_area, args.drop_border)
            yield PredictedImage(path, rgb, kept, *classes, _stored(image), args.pixel_size)


def _found_in_stacks(
    predictor: AnyPredictor, stacks: Iterable[tuple[Path, np.ndarray]], args: argparse.Namespace
) -> Iterator[PredictedStack]:
    voxel = None
    if args.pixel_size is not None and args.slice_distance is not None:
        voxel = args.pixel_size**2 * args.slice_distance
    for path, pages in stacks:
        labels = predict_stack(predictor, pages, args.link_iou)
        labels = keep_whole_volumes(labels, args.min_area, args.drop_border)
        yield PredictedStack(path, _stored(pages), labels, voxel)


def _stored(pixels: np.ndarray) -> np.ndarray:
    """(..., C) pixels in the file's order again, which the reader turned to BGR."""
    return pixels[..., ::-1] if pixels.shape[-1] == 3 else pixels


def _categories(cfg: CfgNode) -> list[dict[str, Any]]:
    """The classes of the data that the model was trained on, as far as they are known here."""
    names = [name for name in cfg.DATASETS.TRAIN if name in DatasetCatalog.list()]
    return categories_of(names[0]) if names else []


def _read(
    paths: Sequence[Path],
    read: Callable[[Path], np.ndarray],
    unreadable: list[Path],
    progress: tqdm,
    strict: bool,
) -> Iterator[tuple[Path, np.ndarray]]:
    """Each path with its pixels; those that cannot be read are named and left out."""
    for path in paths:
        try:
            image = read(path)
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
