"""Look at a data set before training on it: a summary, what is wrong with it, sample pictures.

Examples:
    recseg check-dataset recseg_voc_train --output check
    recseg check-dataset --data my/train
    recseg check-dataset --data my/annotations/instances_train.json
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recseg_d2.cli.model_options import log_to_terminal
from recseg_d2.cli.own_data import (
    OWN_DATA_HELP,
    add_decode_option,
    add_own_data_options,
    register_given,
)
from recseg_d2.cli.visualize import spread
from recseg_d2.config.options import InputOptions
from recseg_d2.data.catalog import check_registered
from recseg_d2.data.examination import examine
from recseg_d2.data.image_check import ImageChecker
from recseg_d2.data.io.image_files import limit_pixels
from recseg_d2.data.io.lists import write_list
from recseg_d2.data.sources.own_data import form_of
from recseg_d2.data.validation import Report
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder, save_image, save_text
from recseg_d2.visualization.samples import draw_samples

OWN = "folder"  # the name under which --data is registered
DEFAULT_NUM = 16
SMALL = (128, 128)  # MODEL.SEQUENTIAL.IMAGE_SIZE of the small configs
MOST_SHOWN = 20  # problems on the terminal; report.json has all


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg check-dataset``."""
    parser = argparse.ArgumentParser(
        prog="recseg check-dataset",
        description="Summarise a data set, and name what is wrong with it file by file. The exit "
        "code is 0 where nothing is, 1 otherwise.",
    )
    parser.add_argument("name", nargs="?", help="a registered data set")
    parser.add_argument("--data", metavar="PATH", help=OWN_DATA_HELP)
    add_own_data_options(parser)
    add_decode_option(parser)
    parser.add_argument(
        "--image-size",
        type=int,
        nargs=2,
        metavar=("H", "W"),
        default=SMALL,
        help="the size that a model brings images to, at which objects may vanish (default: "
        f"{SMALL[0]} {SMALL[1]}, that of the small configs)",
    )
    parser.add_argument(
        "--max-pixels",
        type=int,
        metavar="N",
        default=InputOptions().max_pixels,
        help="most pixels of an image; a small file can hold one that fills the memory",
    )
    parser.add_argument(
        "--output", metavar="DIR", help="write report.json and samples.png, a page of pictures"
    )
    parser.add_argument(
        "--num",
        type=int,
        default=DEFAULT_NUM,
        metavar="N",
        help=f"images on the page, spread evenly over all that there are (default {DEFAULT_NUM})",
    )
    parser.add_argument(
        "--write-list", metavar="FILE", help="write the image ids, one a line, such as of a split"
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool; 0 when the data set is good, 1 when there are problems."""
    args = build_parser().parse_args(argv)
    if (args.name is None) == (args.data is None):
        raise UserError("Give either the name of a registered data set, or --data PATH.")
    if args.num < 1:
        raise UserError(f"--num is {args.num}; expected 1 or more.")
    log_to_terminal()
    name = _name(args)
    limit_pixels(args.max_pixels)
    size = tuple(args.image_size)
    dicts, classes, report = examine(name, ImageChecker(not args.no_decode), size)
    print(_text(report))
    if args.write_list:
        write_list(args.write_list, (str(record["image_id"]) for record in dicts))
    if args.output:
        _write(make_folder(args.output), report, dicts, classes, args.num)
    return 1 if report.problems else 0


def _name(args: argparse.Namespace) -> str:
    if args.data is not None:
        register_given(OWN, args.data, args)
        form = form_of(Path(args.data))
        print(f"{args.data}: taken as {form.words if form else 'a folder of label maps'}.")
        return OWN
    check_registered(args.name, "data set")
    return args.name


def _text(report: Report) -> str:
    lines = [report.summary.table(), ""]
    lines += map(str, report.problems[:MOST_SHOWN])
    hidden = len(report.problems) - MOST_SHOWN
    if hidden > 0:
        lines.append(f"... and {hidden} more")
    if report.problems:
        files = len({problem.file for problem in report.problems})
        lines.append(f"{len(report.problems)} problems in {files} files.")
    else:
        lines.append("No problem found.")
    return "\n".join(lines)


def _write(
    folder: Path, report: Report, dicts: list[dict[str, Any]], classes: list[str], num: int
) -> None:
    problems = [{"file": p.file, "message": p.message} for p in report.problems]
    contents = {"summary": report.summary.as_dict(), "problems": problems}
    save_text(folder / "report.json", json.dumps(contents, indent=2))
    bad = {problem.file for problem in report.problems if not problem.warning}
    # drawing would fail on the files that the report names
    good = [record for record in dicts if record["file_name"] not in bad]
    if good:
        save_image(folder / "samples.png", draw_samples(spread(good, num), classes))
