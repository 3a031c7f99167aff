"""`recseg baseline`: segmentation without learning."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from recseg_d2.baselines.classical import METHODS
from recseg_d2.cli.evaluate_masks import format_scores
from recseg_d2.cli.model_options import find_images
from recseg_d2.cli.own_data import (
    FOLDER_VAL,
    OWN_DATA_HELP,
    add_own_data_options,
    register_given,
)
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.errors import UserError
from recseg_d2.evaluation.baseline import score_baseline, segment_file
from recseg_d2.files import make_folder, make_place, save_scores

_DESCRIPTION = """\
Segment images without learning, as a line to compare trained models with.
  leaves  excess green, Otsu's threshold, watershed from the thickest places
  nuclei  Otsu's threshold (light on dark or dark on light), connected components
"""

_EXAMPLES = """\
examples:
  recseg baseline --method nuclei --input images/ --output labels/
  recseg baseline --method leaves --dataset synthetic_rosettes_val --output scores/
  recseg baseline --method nuclei --val-data my/val --max-objects 20
"""


def build_parser() -> argparse.ArgumentParser:
    """The tool's arguments."""
    parser = argparse.ArgumentParser(
        prog="recseg baseline",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--method", required=True, choices=METHODS, help="see above")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument(
        "--input", nargs="+", metavar="PATH", help="images or folders, to write label maps of"
    )
    source.add_argument("--dataset", metavar="NAME", help="a registered data set, to score on")
    source.add_argument("--val-data", metavar="PATH", help=f"to score on, {OWN_DATA_HELP}")
    add_own_data_options(parser)
    parser.add_argument(
        "--output",
        type=Path,
        metavar="DIR",
        help="folder for label maps <stem>.png, or for the scores <method>_<dataset>.json",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Segment files, or score on a data set."""
    args = build_parser().parse_args(argv)
    if args.val_data is not None:
        register_given(FOLDER_VAL, args.val_data, args)
    name = args.dataset if args.val_data is None else FOLDER_VAL
    if name is not None:
        _score(name, args.method, args.output)
    else:
        _segment(args.input, args.method, args.output)
    return 0


def _score(dataset_name: str, method: str, output: Path | None) -> None:
    # before scoring, which may take a while
    path = output and make_place(output / f"{method}_{dataset_name}.json")
    scores = score_baseline(dataset_name, method)
    print(f"{method} on {dataset_name}: {format_scores(scores)}")
    if path is not None:
        save_scores(path, scores.summary())
        print(f"scores of each image: {path}")


def _segment(inputs: Sequence[str], method: str, output: Path | None) -> None:
    if output is None:
        raise UserError("--input needs --output DIR, the folder to write label maps to.")
    paths = find_images(inputs)
    make_folder(output)
    for path in tqdm(paths, desc=method, disable=None):
        write_label_map(output / f"{path.stem}.png", segment_file(path, method))
    print(f"{len(paths)} label maps: {output}")
