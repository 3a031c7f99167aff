"""``recseg export``: a trained model as a file that runs without this package."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from recseg_d2.cli.model_options import (
    add_model_arguments,
    load_model_config,
    log_to_terminal,
    parse_arguments,
)
from recseg_d2.engine.export import export
from recseg_d2.engine.exportables import exportable
from recseg_d2.engine.predictor import Predictor


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg export``."""
    parser = argparse.ArgumentParser(
        prog="recseg export",
        description="Write a trained model for images of one size and a fixed number of steps.",
        epilog="Inputs and outputs are described in recseg_d2/engine/exportables.py; "
        "tools/run_onnx.py runs an ONNX file.",
    )
    parser.add_argument(
        "--output", required=True, metavar="FILE", help="ends in .pt2 (torch.export) or .onnx"
    )
    parser.add_argument(
        "--size",
        nargs=2,
        type=int,
        default=(256, 256),
        metavar=("HEIGHT", "WIDTH"),
        help="of images, for models that do not work at a size of their own (default: 256 256)",
    )
    parser.add_argument(
        "--steps",
        type=int,
        default=0,
        metavar="N",
        help="steps of a sequential model (default: all), looks of dense attention (default: 32), "
        "windows or proposals (default: 100)",
    )
    add_model_arguments(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Load, export, say where."""
    args = parse_arguments(build_parser(), argv)
    log_to_terminal()
    model = Predictor(load_model_config(args)).model
    module = exportable(model, (args.size[0], args.size[1]), args.steps)
    path = export(module, args.output)
    shapes = [
        f"{n} {tuple(x.shape)}" for n, x in zip(module.input_names, module.example(), strict=True)
    ]
    print(f"{path}: {', '.join(shapes)} -> {', '.join(module.output_names)}")
    return 0
