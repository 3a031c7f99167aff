"""The exceptions for input that a user can mend."""

from __future__ import annotations

from typing import Any


class UserError(ValueError):
    """Bad input. The message names the file or key, what was found, what was expected, the mend."""


class OptionError(ValueError):
    """A value of a dataclass of options that cannot work; who read it from a config adds the key.

    Args:
        options: the dataclass of options that has the value.
        name: name of the field.
        expected: which values would do, as "1 or more".
    """

    def __init__(self, options: Any, name: str, expected: str) -> None:
        self.kind, self.name = type(options), name
        self.problem = f"is {getattr(options, name)!r}; expected {expected}."
        super().__init__(f"{name} {self.problem}")


def require(holds: bool, options: Any, name: str, expected: str) -> None:
    """Refuse the value of an option unless ``holds``; see ``OptionError``."""
    if not holds:
        raise OptionError(options, name, expected)
