"""The exceptions for input that a user can mend, and for an end that somebody asked for."""

from __future__ import annotations

import signal
from typing import Any


class UserError(ValueError):
    """Bad input. The message names the file or key, what was found, what was expected, the mend."""


class Stopped(BaseException):
    """A signal ended the program in good order.

    Not an ``Exception``: Detectron2's loop reports those as failures.

    Args:
        number: of the signal.
        saved: where the state of the training is; empty where it is in the last checkpoint, if any.
    """

    def __init__(self, number: int, saved: str = "") -> None:
        self.number, self.saved = number, saved
        state = f"the state is saved in {saved}; --resume goes on" if saved else "nothing to save"
        super().__init__(f"Stopped by {signal.Signals(number).name}: {state}.")

    @property
    def exit_code(self) -> int:
        """Of a process that ends for this reason, as shells number it."""
        return 128 + self.number


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
