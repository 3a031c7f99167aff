"""A user's own data on the command line, the same in all tools."""

from __future__ import annotations

import argparse

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.datasets.own_data import FORMS, register_own_data
from recseg_d2.errors import UserError

# The names under which --train-data and --val-data are registered.
FOLDER_TRAIN, FOLDER_VAL = "folder_train", "folder_val"
OWN_DATA_HELP = f"your own: {FORMS}"


def add_own_data_options(parser: argparse.ArgumentParser) -> None:
    """Add --min-objects, --max-objects and --one-class, for data that the command line names."""
    parser.add_argument(
        "--min-objects", type=int, default=0, metavar="N", help="leave out images with fewer"
    )
    parser.add_argument("--max-objects", type=int, metavar="N", help="leave out images with more")
    parser.add_argument(
        "--one-class",
        action="store_true",
        help="take all objects of the data to be of one class, for models without classes",
    )


def register_given(name: str, place: str, args: argparse.Namespace) -> None:
    """Register data of the command line, in place of that of an earlier call in this process.

    Args:
        name: ``FOLDER_TRAIN``, ``FOLDER_VAL`` or a tool's own.
        place: the folder or file.
        args: with the options of ``add_own_data_options``.

    Raises:
        UserError: see ``register_own_data``.
    """
    if args.min_objects < 0 or (args.max_objects is not None and args.max_objects < 0):
        raise UserError(
            f"--min-objects is {args.min_objects} and --max-objects {args.max_objects}; expected 0 "
            "or more."
        )
    if name in DatasetCatalog.list():
        DatasetCatalog.remove(name)
        MetadataCatalog.remove(name)
    register_own_data(name, place, args.min_objects, args.max_objects, args.one_class)
