"""A user's own data on the command line, the same in all tools."""

from __future__ import annotations

import argparse

from recseg_d2.data.catalog import unregister
from recseg_d2.data.sources.base import Fold
from recseg_d2.data.sources.forms import Reading
from recseg_d2.data.sources.own_data import open_own_data, words_for_forms
from recseg_d2.errors import UserError

# The names under which --train-data and --val-data are registered.
FOLDER_TRAIN, FOLDER_VAL = "folder_train", "folder_val"
OWN_DATA_HELP = f"your own: {words_for_forms()}"


def add_own_data_options(parser: argparse.ArgumentParser) -> None:
    """Add what selects and reads data that the command line names."""
    parser.add_argument(
        "--min-objects", type=int, default=0, metavar="N", help="leave out images with fewer"
    )
    parser.add_argument("--max-objects", type=int, metavar="N", help="leave out images with more")
    parser.add_argument(
        "--one-class",
        action="store_true",
        help="take all objects of the data to be of one class, for models without classes",
    )
    parser.add_argument(
        "--components",
        action="store_true",
        help="label maps: take each connected region as an object, as of binary masks",
    )
    parser.add_argument(
        "--background",
        type=label_value,
        action="append",
        default=[],
        metavar="VALUE",
        help="label maps: a value that is background besides 0, of a colour 0xRRGGBB; can be given "
        "several times",
    )
    add_ignore_value(
        parser,
        "label maps: a value where it is not known what the image shows, as where nobody marked "
        "the objects: no loss and no score there",
    )
    parser.add_argument(
        "--label-suffix",
        metavar="TEXT",
        help="label maps: what the ends of their names have more than the images'; give it as "
        "--label-suffix=_mine where no usual one is found",
    )
    parser.add_argument(
        "--allow-outside",
        action="store_true",
        help="take images outside of the annotations' image folder; only of files that you trust",
    )


def add_ignore_value(parser: argparse.ArgumentParser, meaning: str) -> None:
    """Add --ignore-value, a list of values of label maps.

    Args:
        parser: a tool's.
        meaning: what the help says of such a value.
    """
    parser.add_argument(
        "--ignore-value",
        type=label_value,
        action="append",
        default=[],
        metavar="VALUE",
        help=f"{meaning}; of a colour 0xRRGGBB; can be given several times",
    )


def add_decode_option(parser: argparse.ArgumentParser) -> None:
    """Add --no-decode."""
    parser.add_argument(
        "--no-decode",
        action="store_true",
        help="read the images' headers only; files that are cut short are then not found",
    )


def register_given(
    name: str, place: str, args: argparse.Namespace, fold: Fold | None = None
) -> None:
    """Register data of the command line, in place of that of an earlier call in this process.

    Args:
        name: name to register the data set by: ``FOLDER_TRAIN``, ``FOLDER_VAL`` or a tool's own.
        place: the folder or file that the user gave.
        args: parsed arguments, with the options of ``add_own_data_options``.
        fold: the fold of the images to take; None takes all.

    Raises:
        UserError: see ``open_own_data``.
    """
    if args.min_objects < 0 or (args.max_objects is not None and args.max_objects < 0):
        raise UserError(
            f"--min-objects is {args.min_objects} and --max-objects {args.max_objects}; expected 0 "
            "or more."
        )
    names = ("min_objects", "max_objects", "one_class")
    reading = Reading(
        allow_outside=args.allow_outside,
        components=args.components,
        background=tuple(args.background),
        ignore=tuple(args.ignore_value),
        label_suffix=args.label_suffix,
    )
    selection = {key: getattr(args, key) for key in names}
    source = open_own_data(name, place, reading, fold=fold, **selection)
    unregister(name)
    source.register()


def label_value(text: str) -> int:
    """A value of label maps: a whole number, decimal or 0x..."""
    return int(text, 0)
