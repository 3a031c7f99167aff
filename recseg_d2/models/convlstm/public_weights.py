"""Weights of the public RSIS code by this package's names.

Source: imatge-upc/rsis, whose checkpoints are two state dicts: of the encoder with the skip
projections (``encoder.pt``), and of the decoder (``decoder.pt``). That decoder is a
``ConvLSTMDecoder`` with D, D/2, D/4, D/8 and D/16 channels, a 3x3 mask head, corner-aligned
upsampling and no box head.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch

from recseg_d2.errors import UserError

_PARALLEL = "module."  # what names begin with after training on several GPUs
_HEADS = {"conv_out": "mask_head", "fc_stop": "stop_head", "fc_class": "class_head"}
_KIND = r"(weight|bias|running_mean|running_var|num_batches_tracked)"


def decoder_weights(
    encoder: Mapping[str, torch.Tensor],
    decoder: Mapping[str, torch.Tensor],
    widths: Sequence[int],
    skip_mode: str,
    num_classes: int,
) -> dict[str, torch.Tensor]:
    """Weights of a ``ConvLSTMDecoder`` from both files.

    The public code's first class, which ends a sequence and is never a target, has no place here.

    Args:
        encoder: its skip projections are taken; ``backbone_weights`` takes the rest.
        decoder: all of it is taken.
        widths: of the ConvLSTMs, the deepest first.
        skip_mode: as in ``ConvLSTMOptions``; with none, only the deepest projection is used.
        num_classes: C; with 1 there is no class head, and the file's is left out.

    Raises:
        UserError: a name is not one of the public code's.
    """
    found: dict[str, torch.Tensor] = {}
    for name, value in _skip_projections(encoder).items():
        if skip_mode != "none" or name.startswith("skips.0."):
            found[name] = value
    for name, value in _plain(decoder).items():
        cell = re.fullmatch(r"clstm_list\.(\d+)\.Gates\.(weight|bias)", name)
        head, _, kind = name.partition(".")
        if cell is not None:
            level = int(cell[1])
            if cell[2] == "weight" and level < len(widths):
                value = _reordered(value, level, widths, skip_mode)
            found[f"cells.{level}.gates.{cell[2]}"] = value
        elif head in _HEADS and kind in ("weight", "bias"):
            if head != "fc_class":
                found[f"{_HEADS[head]}.{kind}"] = value
            elif num_classes > 1:
                found[f"{_HEADS[head]}.{kind}"] = value[1:]
        else:
            raise UserError(f"decoder: {name!r} is no name of the public RSIS code's decoder.")
    return found


def backbone_weights(encoder: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The encoder's weights without its skip projections and its 1000-way classifier.

    Returns:
        weights by torchvision's names.
    """
    return {
        name.removeprefix("base."): value
        for name, value in _plain(encoder).items()
        if name.startswith("base.") and not name.startswith(("base.fc.", "base.classifier."))
    }


def _skip_projections(encoder: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """``sk5`` and ``bn5`` are the deepest level's, ``sk1`` and ``bn1`` the finest's."""
    found = {}
    for name, value in _plain(encoder).items():
        match = re.fullmatch(rf"(sk|bn)([1-5])\.{_KIND}", name)
        if match is not None:
            place = 0 if match[1] == "sk" else 1
            found[f"skips.{5 - int(match[2])}.{place}.{match[3]}"] = value
        elif not name.startswith("base."):
            raise UserError(f"encoder: {name!r} is no name of the public RSIS code's encoder.")
    return found


def _plain(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(_PARALLEL): value for name, value in state.items()}


def _reordered(
    weight: torch.Tensor, level: int, widths: Sequence[int], skip_mode: str
) -> torch.Tensor:
    """A cell's kernel with its input channels in this package's order.

    There they are: from below, skip, own hidden state; here the skip, which all steps share, comes
    last. The deepest level has nothing from below, and the other modes no skip of its own.
    """
    own = widths[level]
    below = 0 if level == 0 else widths[level - 1]
    skip = weight.shape[1] - below - own
    if skip_mode != "concat" and level > 0:
        return weight
    if skip < 0:
        return weight  # of another width: refused where it is loaded
    from_below, from_skip, hidden = weight.split([below, skip, own], dim=1)
    return torch.cat([from_below, hidden, from_skip], dim=1)
