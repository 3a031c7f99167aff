"""`recseg convert-weights`: released weights of other code as a checkpoint of this package's.

Example:
    recseg convert-weights --encoder encoder.pt --decoder decoder.pt --output output/rsis_public
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from detectron2.config import CfgNode
from detectron2.modeling import build_model

from recseg_d2.backbones.pretrained import encoder_prefix, own_names
from recseg_d2.cli.model_options import (
    TRAINED_CONFIG,
    TRAINED_WEIGHTS,
    add_config_options,
    log_to_terminal,
    parse_arguments,
)
from recseg_d2.config import load_config, read_options
from recseg_d2.engine.checkpoints import save_whole
from recseg_d2.engine.weight_files import read_checkpoint
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder, save_text
from recseg_d2.models.convlstm.options import ConvLSTMOptions
from recseg_d2.models.convlstm.public_weights import backbone_weights, decoder_weights

_NAMES_SHOWN = 5


def build_parser() -> argparse.ArgumentParser:
    """Arguments of ``recseg convert-weights``."""
    parser = argparse.ArgumentParser(
        prog="recseg convert-weights",
        description="Weights that the public RSIS code (imatge-upc/rsis) has saved, as "
        "a run's output folder that every tool takes by --weights.",
    )
    parser.add_argument(
        "--config-file",
        default="rsis_voc_code.yaml",
        metavar="FILE",
        help="of that network (default %(default)s)",
    )
    parser.add_argument("--encoder", required=True, metavar="FILE", help="its encoder.pt")
    parser.add_argument("--decoder", required=True, metavar="FILE", help="its decoder.pt")
    parser.add_argument("--output", required=True, metavar="DIR", help="made where it is missing")
    add_config_options(parser)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Read, convert, load into the config's model, save."""
    args = parse_arguments(build_parser(), argv)
    log_to_terminal()
    cfg = load_config(args.config_file, args.opts)
    cfg.MODEL.WEIGHTS = ""
    state = convert(cfg, _read(args.encoder), _read(args.decoder))
    folder = make_folder(args.output)
    save_whole({"model": state}, folder / TRAINED_WEIGHTS)
    cfg.OUTPUT_DIR = str(folder)
    save_text(folder / TRAINED_CONFIG, cfg.dump())
    print(f"{len(state)} parameters: {folder / TRAINED_WEIGHTS}")
    return 0


def convert(
    cfg: CfgNode, encoder: dict[str, torch.Tensor], decoder: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The complete state dict of a config's model.

    Args:
        cfg: of a ConvLSTMSemInstSeg.
        encoder: weights of the public code's encoder.
        decoder: of its decoder.

    Raises:
        UserError: weights of the files have no place in the model, or another shape, or the model
            has parameters that the files do not have.
    """
    model = build_model(cfg)
    options = read_options(cfg, ConvLSTMOptions)
    parts = decoder_weights(
        encoder, decoder, options.hidden_widths, options.skip_mode, cfg.MODEL.NUM_CLASSES
    )
    given = {f"decoder.{name}": value for name, value in parts.items()}
    prefix = encoder_prefix(model)
    given |= own_names(model, {f"{prefix}{n}": v for n, v in backbone_weights(encoder).items()})
    own = model.state_dict()
    counters = [name for name in own if name.endswith("num_batches_tracked")]
    given |= {name: given.get(name, own[name]) for name in counters}
    _refuse("the config's model has no", [n for n in given if n not in own])
    _refuse("the files have no", [n for n in own if n not in given])
    shapes = [
        f"{n} {tuple(v.shape)} (expected {tuple(own[n].shape)})"
        for n, v in given.items()
        if v.shape != own[n].shape
    ]
    _refuse("of another shape are", shapes)
    return {name: given[name] for name in own}


def _refuse(what: str, names: list[str]) -> None:
    if names:
        more = f" and {len(names) - _NAMES_SHOWN} more" if len(names) > _NAMES_SHOWN else ""
        raise UserError(
            f"The weights do not fit: {what} {', '.join(names[:_NAMES_SHOWN])}{more}. Name the "
            "config of that network, such as rsis_voc_code.yaml, with its MODEL.RESNETS.DEPTH, "
            "MODEL.NUM_CLASSES and MODEL.RSIS."
        )


def _read(path: str) -> dict[str, torch.Tensor]:
    if not Path(path).is_file():
        raise UserError(f"There is no file {path}; name encoder.pt and decoder.pt of a model.")
    weights: dict[str, torch.Tensor] = read_checkpoint(path)["model"]
    return weights
