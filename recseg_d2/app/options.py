"""What the page's command line decides: where it listens, for whom, and what it takes."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path

from recseg_d2.errors import UserError

USER = "recseg"  # the name that goes with the password


@dataclass(frozen=True)
class AppOptions:
    """Where the page is, and its limits.

    Attributes:
        host: address that it listens at; beyond this machine only with a password.
        port: 1 to 65535; None takes a free one from 7860 on.
        password: that a visitor has to give; empty asks for none.
        max_megabytes: size of a file that is uploaded, at most.
        corrections: folder of the data set that corrected images go to.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    password: str = ""
    max_megabytes: float = 64
    corrections: Path = Path("corrections")

    def check(self) -> None:
        """Refuse what cannot work, or would let anybody in.

        Raises:
            UserError: it says which option is wrong.
        """
        if not is_loopback(self.host) and not self.password:
            raise UserError(
                f"--host {self.host} lets other machines reach the page; give a --password (or "
                "RECSEG_APP_PASSWORD) too, or leave --host out."
            )
        if self.port is not None and not 0 < self.port < 2**16:
            raise UserError(f"--port is {self.port}; expected 1 to {2**16 - 1}.")
        if not self.max_megabytes > 0:
            raise UserError(f"--max-megabytes is {self.max_megabytes}; expected above 0.")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches an address: 127.0.0.1 and its like, ::1, localhost."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
