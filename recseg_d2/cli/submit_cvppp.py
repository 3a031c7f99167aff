"""`recseg submit-cvppp`: predictions as a submission to the leaf segmentation challenge.

The files are described in ``data.cvppp_submission``.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from detectron2.data import DatasetCatalog
from tqdm import tqdm

from recseg_d2.cli.model_options import add_model_arguments, load_model_config, log_to_terminal
from recseg_d2.data.cvppp_submission import FORMATS, H5_NAME, CvpppSubmission
from recseg_d2.engine.predictor import Predictor
from recseg_d2.errors import UserError
from recseg_d2.postprocess import instances_to_label_map

TEST_SET = "cvppp2017_a1_test"


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg submit-cvppp``."""
    parser = argparse.ArgumentParser(
        prog="recseg submit-cvppp",
        description="Predict CVPPP's test images with a trained model, and write what the leaf "
        "segmentation challenge takes.",
        epilog="DIR gets labels/<group>/plantNNN_label.png and submission.h5, which also has every "
        "other plant of the test images' HDF5 file, without leaves.",
    )
    parser.add_argument(
        "--dataset",
        nargs="+",
        default=[TEST_SET],
        metavar="NAME",
        help=f"registered data sets, such as cvppp_a1_test for folders (default {TEST_SET})",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="made where it is missing")
    parser.add_argument(
        "--formats", nargs="+", choices=FORMATS, default=list(FORMATS), help="default: both"
    )
    add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Predict, write, say what was written."""
    args = build_parser().parse_args(argv)
    log_to_terminal()
    records = _records(args.dataset)
    predictor = Predictor(load_model_config(args), args.batch_size)
    with CvpppSubmission(args.output, args.formats) as submission:
        found = predictor(record["file_name"] for record in records)
        leaves = 0
        for record, instances in zip(tqdm(records, unit="image"), found, strict=True):
            labels = instances_to_label_map(instances.pred_masks, instances.scores)
            leaves += submission.add(record, labels.numpy())
        others = submission.finish()
    print(f"{len(records)} images, {leaves} leaves: {args.output}")
    if others:
        print(f"{H5_NAME} has the plants without a prediction without leaves: {len(others)}")
    return 0


def _records(names: Sequence[str]) -> list[dict[str, Any]]:
    """The standard dicts of data sets.

    Raises:
        UserError: a data set is not registered, or its files are not there.
    """
    for name in names:
        if name not in DatasetCatalog.list():
            cvppp = sorted(n for n in DatasetCatalog.list() if n.startswith("cvppp"))
            raise UserError(f"--dataset: found {name!r}, expected one of {', '.join(cvppp)}.")
    return [record for name in names for record in DatasetCatalog.get(name)]
