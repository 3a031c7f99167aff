"""Write random boxes as the mask proposals of a data set, which any proposals have to beat.

Compare by average recall, or by what MaskProposalClassifier reaches with them. Sides are
log-uniform, as sizes of objects roughly are; a proposal is its whole box.

Examples:
    SCRIPT=projects/instance_fcn/random_proposals.py
    python $SCRIPT --dataset synthetic_scenes_val --output output/random
    python $SCRIPT --dataset recseg_voc_val --number 1000 --output output/random
"""

from __future__ import annotations

import argparse
import sys
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import recseg_d2  # noqa: F401  (comes before any detectron2 import)

# isort: split
import numpy as np
from detectron2.data import DatasetCatalog
from tqdm import tqdm

from recseg_d2.cli import run
from recseg_d2.cli.own_data import (
    FOLDER_VAL,
    OWN_DATA_HELP,
    add_own_data_options,
    register_given,
)
from recseg_d2.data.catalog import check_registered
from recseg_d2.data.coco_results import PROPOSAL_CATEGORY, image_of, results_of, save_results
from recseg_d2.errors import UserError
from recseg_d2.files import make_place


@dataclass(frozen=True)
class BoxRange:
    """What boxes are drawn from.

    Attributes:
        smallest: geometric mean of a box's sides, at least, as a share of the image's shorter side.
        largest: geometric mean of a box's sides, at most, as a share of the image's shorter side.
        aspect: width over height is in [1 / aspect, aspect], log-uniform.
    """

    smallest: float = 0.08
    largest: float = 0.8
    aspect: float = 2.0

    def __post_init__(self) -> None:
        if not (0 < self.smallest <= self.largest <= 1 <= self.aspect):
            raise UserError(
                f"random boxes: found sides of {self.smallest} to {self.largest} and an aspect of "
                f"{self.aspect}; expected 0 < smallest <= largest <= 1 <= aspect."
            )


def build_parser() -> argparse.ArgumentParser:
    """The script's arguments."""
    default = BoxRange()
    parser = argparse.ArgumentParser(
        description=__doc__,
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
    check_registered(name, "--dataset")
    path = make_place(args.output / f"proposals_{name}.json")
    results, images = [], []
    for record in tqdm(DatasetCatalog.get(name), desc="random boxes", disable=None):
        shape = (int(record["height"]), int(record["width"]))
        # an image's boxes depend on its id alone, not on the images before it
        rng = np.random.default_rng((args.seed, zlib.crc32(str(record["image_id"]).encode())))
        boxes = random_boxes(rng, shape, args.number, given)
        masks, scores = box_masks(boxes, shape), rng.uniform(size=args.number)
        results += results_of(record["image_id"], masks, scores)
        images.append(image_of(record, shape))
    save_results(path, results, images, [PROPOSAL_CATEGORY], name)
    print(f"{len(results)} proposals: {path}")
    return 0


def random_boxes(
    rng: np.random.Generator, shape: tuple[int, int], number: int, given: BoxRange
) -> np.ndarray:
    """Boxes that lie in an image, uniform in place.

    Args:
        rng: the generator that boxes are drawn with.
        shape: height and width of the image in pixels.
        number: how many boxes to draw.
        given: the range of sides and aspect ratios.

    Returns:
        (number, 4) int64 x1 y1 x2 y2, the last pixel's far edge included; each at least a pixel
        wide and high.
    """
    octaves = rng.uniform(np.log(given.smallest), np.log(given.largest), number)
    side = np.exp(octaves) * min(shape)
    stretch = np.exp(rng.uniform(-0.5, 0.5, number) * np.log(given.aspect))
    size = np.stack([side * stretch, side / stretch], axis=1)  # width, height
    limit = np.array([shape[1], shape[0]])
    size = np.clip(np.rint(size), 1, limit).astype(np.int64)
    low = np.floor(rng.uniform(size=(number, 2)) * (limit - size + 1)).astype(np.int64)
    return np.concatenate([low, low + size], axis=1)


def box_masks(boxes: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """(number, H, W) bool, each box filled; boxes as ``random_boxes`` returns them."""
    x, y = np.arange(shape[1])[None], np.arange(shape[0])[None]
    columns = (x >= boxes[:, 0:1]) & (x < boxes[:, 2:3])
    rows = (y >= boxes[:, 1:2]) & (y < boxes[:, 3:4])
    return rows[:, :, None] & columns[:, None, :]


if __name__ == "__main__":
    sys.exit(run(main))
