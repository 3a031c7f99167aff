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

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.cli.model_options import log_to_terminal
from recseg_d2.cli.own_data import OWN_DATA_HELP, add_own_data_options, register_given
from recseg_d2.cli.visualize import spread
from recseg_d2.data.problems import survey
from recseg_d2.data.validation import Report, validate_dicts
from recseg_d2.data.voc_splits import write_stems
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder
from recseg_d2.visualization.samples import draw_samples

OWN = "folder"  # the name under which --data is registered
DEFAULT_NUM = 16
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
    dicts, problems = survey(DatasetCatalog[name])
    classes = _classes(name, dicts)
    report = validate_dicts(dicts, classes)
    report = Report([*problems, *report.problems], report.summary)
    print(_text(report))
    if args.write_list:
        write_stems(args.write_list, (str(record["image_id"]) for record in dicts))
    if args.output:
        _write(make_folder(args.output), report, dicts, classes, args.num)
    return 1 if report.problems else 0


def _name(args: argparse.Namespace) -> str:
    if args.data is not None:
        register_given(OWN, args.data, args)
        return OWN
    if args.name not in DatasetCatalog.list():
        known = ", ".join(sorted(DatasetCatalog.list()))
        raise UserError(f"{args.name!r} is not registered; registered are {known}.")
    return args.name


def _classes(name: str, dicts: Sequence[dict[str, Any]]) -> list[str]:
    """Names of the classes; numbers for those of a data set that does not name them."""
    classes = MetadataCatalog.get(name).get("thing_classes")
    if classes is not None:
        return list(classes)
    ids = [a["category_id"] for record in dicts for a in record.get("annotations", [])]
    return [str(i) for i in range(max(ids, default=-1) + 1)]


def _text(report: Report) -> str:
    lines = [report.summary.table(), ""]
    lines += [f"{problem.file}: {problem.message}" for problem in report.problems[:MOST_SHOWN]]
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
    (folder / "report.json").write_text(json.dumps(contents, indent=2))
    bad = {problem.file for problem in report.problems}
    good = [record for record in dicts if record["file_name"] not in bad]
    if good:
        draw_samples(spread(good, num), classes).save(folder / "samples.png")
