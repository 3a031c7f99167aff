"""Weights that go by other names. May use: torch only."""

from __future__ import annotations

import logging
import re

from torch import Tensor

BRANCHES = {"1": "shortcut", "2a": "conv1", "2b": "conv2", "2c": "conv3"}
PARAMETERS = {
    "weight": ("w", "s", "gamma"),
    "bias": ("b", "beta"),
    "running_mean": ("rm", "running_mean"),
    "running_var": ("riv", "running_var"),
}
_PARAMETER = {old: new for new, olds in PARAMETERS.items() for old in olds}
_CAFFE2 = re.compile(
    r"(?:(?P<block>res\d_\d+)_branch(?P<branch>1|2a|2b|2c)|(?P<stem>(?:res_)?conv1)|(?P<other>.+?))"
    rf"_(?P<norm>(?:bn|gn)_)?(?P<parameter>{'|'.join(_PARAMETER)})"
)

logger = logging.getLogger(__name__)


def convert_basic_c2_names(original_keys: list[str]) -> list[str]:
    """Caffe2's names of a residual network as Detectron2's; others stay.

    "res2_0_branch2a_bn_s" becomes "res2.0.conv1.norm.weight", "conv1_w" "stem.conv1.weight".
    """
    return [_convert(key) for key in original_keys]


def _convert(key: str) -> str:
    match = _CAFFE2.fullmatch(key)
    if match is None:
        return key
    if match["block"]:
        layer = match["block"].replace("_", ".") + "." + BRANCHES[match["branch"]]
    else:
        layer = "stem.conv1" if match["stem"] else match["other"].replace("_", ".")
    return f"{layer}.{'norm.' if match['norm'] else ''}{_PARAMETER[match['parameter']]}"


def align_and_update_state_dicts(
    model_state_dict: dict[str, Tensor],
    ckpt_state_dict: dict[str, Tensor],
    c2_conversion: bool = True,
) -> dict[str, Tensor]:
    """Rename a checkpoint's weights to the model's names, which may have longer prefixes.

    A model's weight takes the one with the longest name that is its own name or ends it after a
    dot: "backbone.res2.0.conv1.weight" takes "res2.0.conv1.weight" rather than "conv1.weight".

    Returns:
        The weights by the model's names; those that match nothing (or in shape) keep their own.

    Raises:
        ValueError: a weight of the checkpoint fits several of the model.
    """
    if c2_conversion:
        names = convert_basic_c2_names(list(ckpt_state_dict))
        ckpt_state_dict = dict(zip(names, ckpt_state_dict.values(), strict=True))
    taken: dict[str, str] = {}  # checkpoint's name: model's name
    for name, parameter in model_state_dict.items():
        source = _longest_suffix(name, ckpt_state_dict)
        if source is None:
            continue
        found = ckpt_state_dict[source].shape
        if found != parameter.shape:
            logger.warning(
                "%s of the checkpoint has shape %s, %s of the model %s: not loaded.",
                *(source, tuple(found), name, tuple(parameter.shape)),
            )
        elif source in taken:
            raise ValueError(
                f"{source!r} of the checkpoint fits both {taken[source]!r} and {name!r} of the "
                "model. Give the checkpoint's weights longer names."
            )
        else:
            taken[source] = name
    if not taken:
        logger.warning("No weights in checkpoint matched with model.")
    return {taken.get(name, name): weight for name, weight in ckpt_state_dict.items()}


def _longest_suffix(name: str, candidates: dict[str, Tensor]) -> str | None:
    parts = name.split(".")
    suffixes = (".".join(parts[start:]) for start in range(len(parts)))
    return next((suffix for suffix in suffixes if suffix in candidates), None)
