"""The mains of all tools. The ``recseg`` command and ``tools/train_net.py`` launch what is here.

Each module has ``build_parser()`` and ``main(argv) -> exit code``; bad input is one sentence on
standard error and exit code 2, never a traceback; a signal is one line and 128 + its number.
"""

from __future__ import annotations

import errno
import importlib
import signal
import sys
from collections.abc import Callable, Sequence

from recseg_d2.errors import Stopped, UserError

# What files that grow line by line meet; whole files say it themselves, see ``files.write_whole``.
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)

Main = Callable[[Sequence[str] | None], int]


def run(main: Main, argv: Sequence[str] | None = None) -> int:
    """Call a tool's main; turn errors of the user and signals into a sentence and an exit code."""
    try:
        return main(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        what = error.filename or "a file"
        print(
            f"error: Cannot write {what} ({error.strerror}); make room and try again, with "
            "--resume where there is one: what was written before is whole.",
            file=sys.stderr,
        )
        return 2
    except (Stopped, KeyboardInterrupt) as error:
        stopped = error if isinstance(error, Stopped) else Stopped(signal.SIGINT)
        print(stopped, file=sys.stderr)
        return stopped.exit_code


def run_main(module: str) -> None:
    """Run the tool of that module name with the process's arguments, and exit with its code."""
    sys.exit(run(importlib.import_module(f"recseg_d2.cli.{module}").main))
