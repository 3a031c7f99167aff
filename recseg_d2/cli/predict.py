"""Predict the instances of images: label maps, COCO-style JSON, counts and pictures.

What it writes is described in ``recseg_d2.engine.outputs``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from recseg_d2.cli.model_options import (
    add_model_arguments,
    find_images,
    load_model_config,
    log_to_terminal,
)
from recseg_d2.data.image_io import read_bgr
from recseg_d2.engine.outputs import PredictionWriter
from recseg_d2.engine.predictor import Predictor, batched
from recseg_d2.errors import UserError


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg predict``."""
    parser = argparse.ArgumentParser(
        prog="recseg predict",
        description="Predict the instances of images with a trained model.",
        epilog="DIR gets labels/ (label maps, 0 is background), predictions.json (COCO's results "
        "with RLE masks), counts.csv, overlays/ and, if asked for, sequences/.",
    )
    parser.add_argument(
        "--input", nargs="+", required=True, metavar="FILE_OR_FOLDER", help="images to look at"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="made where it is missing")
    parser.add_argument("--no-overlays", action="store_true", help="do not draw overlays/")
    parser.add_argument(
        "--sequences", action="store_true", help="draw sequences/: a panel for every step"
    )
    add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; 0 when all images were processed, 1 when some could not be read."""
    args = build_parser().parse_args(argv)
    log_to_terminal()
    paths = find_images(args.input)
    predictor = Predictor(load_model_config(args), args.batch_size)
    writer = PredictionWriter(args.output, overlays=not args.no_overlays, sequences=args.sequences)
    unreadable: list[Path] = []
    with tqdm(total=len(paths), unit="image", desc="predict") as progress:
        readable = _read(paths, unreadable, progress)
        for batch in batched(readable, args.batch_size):
            found = predictor(image for _, image in batch)
            for (path, image), instances in zip(batch, found, strict=True):
                writer.add(path, image, instances)
                progress.update()
    writer.finish()
    print(f"{writer.num_images} images, {writer.num_instances} objects: {args.output}")
    return _report(unreadable, len(paths))


def _read(
    paths: Sequence[Path], unreadable: list[Path], progress: tqdm
) -> Iterator[tuple[Path, np.ndarray]]:
    """Each path with its pixels; those that cannot be read are named and left out."""
    for path in paths:
        try:
            image = read_bgr(path)
        except UserError as error:
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
