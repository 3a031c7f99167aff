"""What all forms of a user's own data have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from recseg_d2.data.sources.base import DataSource
from recseg_d2.errors import UserError


@dataclass(frozen=True)
class Reading:
    """How files are read, where their form leaves a choice.

    Attributes:
        allow_outside: whether annotation files may name images outside of their folder.
        components: whether each connected region of a label map is an object.
        background: values of label maps that are background besides 0.
        ignore: values of label maps where it is not known what the image shows.
        label_suffix: what the stems of label maps end in beyond those of the images; None guesses.
    """

    allow_outside: bool = False
    components: bool = False
    background: tuple[int, ...] = ()
    ignore: tuple[int, ...] = ()
    label_suffix: str | None = None

    def refuse_label_options(self, place: Path, words: str) -> None:
        """Refuse choices that only label maps have.

        Raises:
            UserError: one was made.
        """
        given = self.components or self.background or self.ignore
        if given or self.label_suffix is not None:
            raise UserError(
                f"{place}: --components, --background, --ignore-value and --label-suffix are for "
                f"label maps; found {words}."
            )


class Form(ABC):
    """A form of data.

    Attributes:
        words: what a folder or file of this form is, for help texts and messages.
    """

    words: ClassVar[str]

    @abstractmethod
    def recognises(self, place: Path) -> bool:
        """Whether a folder or file looks as if it were of this form."""

    @abstractmethod
    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """The data set.

        Raises:
            UserError: what belongs to the form is missing, or cannot be read, or a choice of
                ``reading`` was made that it does not have.
        """


def folders_in(place: Path) -> dict[str, Path]:
    """The folders in a folder by their names in small letters; empty where there is no folder."""
    if not place.is_dir():
        return {}
    found = (p for p in sorted(place.iterdir()) if p.is_dir() and not p.name.startswith("."))
    return {p.name.lower(): p for p in found}


def first_of(names: Iterable[str], folders: dict[str, Path]) -> Path | None:
    """The first of some names that is among ``folders_in``."""
    return next((folders[name] for name in names if name in folders), None)
