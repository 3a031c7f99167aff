"""A process of its own for a part of a test's program, with all that is imported already."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Callable


def in_fork(work: Callable[[], object]) -> int:
    """Run in a forked process; its exit code, or minus the signal that killed it.

    Only for a process that has not trained anything yet: threads of PyTorch do not pass a fork. An
    int that ``work`` returns is the code.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    pid = os.fork()
    if pid:
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    gc.freeze()  # what was there before the fork stays, and need not be looked through again
    code = 1
    try:
        result = work()
        code = result if isinstance(result, int) else 0
    except SystemExit as stopped:
        code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
    except BaseException:
        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
