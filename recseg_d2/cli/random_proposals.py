"""``recseg random-proposals``: random boxes as a proposal file. May use: baselines, data, tqdm."""

from __future__ import annotations

import argparse
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from detectron2.data import DatasetCatalog
from tqdm import tqdm

from recseg_d2.baselines.random_boxes import BoxRange, box_masks, random_boxes
from recseg_d2.cli.own_data import (
    FOLDER_VAL,
    OWN_DATA_HELP,
    add_own_data_options,
    register_given,
)
from recseg_d2.data.proposal_files import proposals_to_results, save_proposals
from recseg_d2.errors import UserError
from recseg_d2.files import make_place

_DESCRIPTION = """\
Write random boxes as the mask proposals of a data set, as a line to compare real proposals with:
by average recall, or by what MaskProposalClassifier reaches with them.
"""

_EXAMPLES = """\
examples:
  recseg random-proposals --dataset synthetic_scenes_val --output output/random
  recseg random-proposals --dataset recseg_voc_val --number 1000 --output output/random
"""


def build_parser() -> argparse.ArgumentParser:
    """The tool's arguments."""
    default = BoxRange()
    parser = argparse.ArgumentParser(
        prog="recseg random-proposals",
        description=_DESCRIPTION,
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", metavar="NAME", help="a registered data set")
    source.add_argument("--val-data", metavar="PATH", help=OWN_DATA_HELP)
    add_own_data_options(parser)
    parser.add_argument(
        "--output", required=True, type=Path, metavar="DIR", help="for proposals_<data set>.json"
    )
    parser.add_argument("--number", type=int, default=300, help="of boxes an image (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (%(default)s)")
    sides = parser.add_argument_group("sizes, as shares of an image's shorter side")
    sides.add_argument("--smallest", type=float, default=default.smallest, help="(%(default)s)")
    sides.add_argument("--largest", type=float, default=default.largest, help="(%(default)s)")
    sides.add_argument(
        "--aspect", type=float, default=default.aspect, help="most of a box (%(default)s)"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Draw boxes for every image, and write them."""
    args = build_parser().parse_args(argv)
    if args.number < 1 or args.seed < 0:
        raise UserError(
            f"--number is {args.number} and --seed {args.seed}; expected 1 or more, and 0 or more."
        )
    given = BoxRange(args.smallest, args.largest, args.aspect)
    if args.val_data:
        register_given(FOLDER_VAL, args.val_data, args)
    name = FOLDER_VAL if args.val_data else args.dataset
    if name not in DatasetCatalog.list():
        raise UserError(
            f"--dataset: found {name!r}, expected a registered data set: "
            f"{', '.join(sorted(DatasetCatalog.list()))}."
        )
    path = make_place(args.output / f"proposals_{name}.json")
    results = []
    for record in tqdm(DatasetCatalog.get(name), desc="random boxes", disable=None):
        shape = (int(record["height"]), int(record["width"]))
        # an image's boxes depend on its id alone, not on the images before it
        rng = np.random.default_rng((args.seed, zlib.crc32(str(record["image_id"]).encode())))
        boxes = random_boxes(rng, shape, args.number, given)
        masks, scores = box_masks(boxes, shape), rng.uniform(size=args.number)
        results += proposals_to_results(record["image_id"], masks, scores)
    save_proposals(path, results)
    print(f"{len(results)} proposals: {path}")
    return 0
