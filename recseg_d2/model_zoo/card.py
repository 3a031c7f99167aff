"""What a published weights file says of itself, beside the weights."""

from __future__ import annotations

import pickle
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch

from recseg_d2.errors import UserError
from recseg_d2.files import write_whole

_CARD, _MODEL = "card", "model"


@dataclass(frozen=True)
class Card:
    """Where a model comes from, what it does, and the config that builds it.

    Attributes:
        name: name of the model in the zoo.
        summary: one sentence on what it finds.
        config: the complete config, as YAML.
        classes: names of the classes.
        metrics: what was measured, by name, such as {"SBD": 83.3}.
        measured_on: the images that it was measured on, and how many.
        data: what it was trained on.
        licence: licence of that data.
        command: the command that trained it.
    """

    name: str
    summary: str
    config: str
    classes: list[str]
    metrics: dict[str, float] = field(default_factory=dict)
    measured_on: str = ""
    data: str = ""
    licence: str = ""
    command: str = ""


def write_weights(path: Path, model: dict[str, torch.Tensor], card: Card) -> None:
    """Write weights in half precision with their card.

    Vectors stay in single precision: they are small, and variances exceed what half can hold.

    Args:
        path: the file to write.
        model: the model's state dict.
        card: what is known of the weights.
    """
    halves = {k: v.half() if v.is_floating_point() and v.ndim > 1 else v for k, v in model.items()}
    with write_whole(path, "wb") as file:
        torch.save({_MODEL: halves, _CARD: asdict(card)}, file)


def read_card(path: str | Path) -> Card | None:
    """The card of a weights file; None where it has none, as checkpoints of a training.

    Files that cannot be read have none either: whoever loads the weights says what is wrong.

    Raises:
        UserError: its card is not one.
    """
    try:
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError):
        return None
    if not isinstance(content, dict) or _CARD not in content:
        return None
    known = {f.name for f in fields(Card)}
    try:
        return Card(**{k: v for k, v in content[_CARD].items() if k in known})
    except (TypeError, AttributeError) as error:
        raise UserError(f"{path}: has a card that is none ({error}); copy it again.") from error
