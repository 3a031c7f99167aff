"""Bring labelled images from any form that is recognised into another program's.

Examples:
    recseg convert my/coco.json converted --to yolo
    recseg convert my/labelme converted --to png
    recseg convert recseg_voc_val converted --to coco
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog
from tqdm import tqdm

from recseg_d2.cli.model_options import log_to_terminal
from recseg_d2.cli.own_data import OWN_DATA_HELP, add_own_data_options, register_given
from recseg_d2.data.annotations import IGNORED
from recseg_d2.data.formats import BITS, ImageObjects
from recseg_d2.data.formats.data_sets import DATA_SET_FORMATS, open_writer
from recseg_d2.errors import UserError

_OWN = "folder_convert"

logger = logging.getLogger(__name__)


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg convert``."""
    parser = argparse.ArgumentParser(
        prog="recseg convert",
        description="Bring labelled images into the files of another program. Outlines run along "
        "the edges of pixels, so that masks stay as they are; label maps cannot hold overlaps.",
    )
    parser.add_argument("source", metavar="FROM", help=f"a registered data set, or {OWN_DATA_HELP}")
    parser.add_argument("target", metavar="TO", help="a new folder, or an empty one")
    parser.add_argument(
        "--to", required=True, choices=DATA_SET_FORMATS, help="see recseg_d2.data.formats"
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=BITS,
        help="of label maps in tif, ome, npy and png (8 or 16); default: as many as the objects "
        "need, 16 or more but in PNG",
    )
    add_own_data_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool."""
    args = build_parser().parse_args(argv)
    log_to_terminal()
    target = Path(args.target)
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise UserError(f"{target}: is there already; name a new folder.")
    if args.bits == 32 and args.to == "png":
        raise UserError("--bits is 32: PNG holds 8 or 16 bits; take another or --to tif.")
    name = args.source
    if name not in DatasetCatalog.list():
        name = _OWN
        register_given(name, args.source, args)
    records, classes = DatasetCatalog.get(name), MetadataCatalog.get(name).thing_classes
    writer = open_writer(args.to, target, classes, args.bits)
    lost = sum(IGNORED in record for record in records)
    if lost:
        logger.warning(
            "%d images have pixels of --ignore-value; what is written has no word for them, they "
            "become background.", lost,
        )  # fmt: skip
    objects = 0
    for record in tqdm(records, "convert", unit="image", disable=None):
        found = ImageObjects.of_record(record, classes)
        writer.add(found, record["file_name"])
        objects += len(found.objects)
    writer.finish()
    print(f"{len(records)} images, {objects} objects: {target}")
    return 0
