"""Write synthetic images as a data set in a well-known layout."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from recseg_d2.data.export import export_dataset
from recseg_d2.data.layouts import LAYOUTS
from recseg_d2.data.rosettes import MIN_SIZE, REFERENCE_SIZE
from recseg_d2.errors import UserError

VAL_SHARE = 4  # by default one image for validation for so many for training


def build_parser() -> argparse.ArgumentParser:
    """The tool's arguments."""
    parser = argparse.ArgumentParser(
        description="Write synthetic images and their labels (overlapping leaves, streets with "
        "road users, scenes of several shapes) in the layout of a well-known data set: for trying "
        "the tools without the data itself.",
    )
    parser.add_argument("layout", choices=list(LAYOUTS), help="how the files are laid out")
    parser.add_argument("out", help="folder to write, empty or not there yet")
    parser.add_argument("--images", type=int, default=32, help="for training (default 32)")
    parser.add_argument(
        "--val-images", type=int, help="for validation or test (default a quarter of --images)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the first image (default 0)")
    parser.add_argument(
        "--size",
        type=int,
        default=REFERENCE_SIZE,
        help="pixels a side; the height of streets and the width of scenes, whose other side is in "
        f"the proportion of the data set's own images (default {REFERENCE_SIZE})",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Write the data set; returns the exit code."""
    args = build_parser().parse_args(argv)
    held_out = args.val_images
    if held_out is None:
        held_out = max(1, args.images // VAL_SHARE)
    if args.images < 1 or held_out < 1 or args.seed < 0 or args.size < MIN_SIZE:
        raise UserError(
            f"found --images {args.images}, --val-images {held_out}, --seed {args.seed}, --size "
            f"{args.size}; expected at least 1, 1, 0 and {MIN_SIZE}."
        )
    first_held_out = args.seed + args.images
    export_dataset(
        args.layout,
        args.out,
        range(args.seed, first_held_out),
        range(first_held_out, first_held_out + held_out),
        args.size,
    )
    print(f"{args.out}: {args.images} + {held_out} images of size {args.size}.")
    return 0
