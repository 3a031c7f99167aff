"""Python programs for tests, each forked from a process that has imported the libraries once.

A new Python imports PyTorch, and what PyTorch imports when a training begins, for several seconds.
A program that is started here has them; the package itself it imports anew, in the environment and
the folder that it is given. A test that is about the start of a process uses ``subprocess``.
"""

from __future__ import annotations

import gc
import multiprocessing
import os
import runpy
import socket
import sys
import tempfile
from collections.abc import Mapping, Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from subprocess import CompletedProcess

ROOT = Path(__file__).parent.parent
LIBRARIES = [
    *("torch", "torch._dynamo", "torch.utils.tensorboard", "scipy.ndimage", "scipy.optimize"),
    *("fvcore.nn", "fvcore.common.config", "PIL.Image", "matplotlib.pyplot"),
]

_forkserver = multiprocessing.get_context("forkserver")
_forkserver.set_forkserver_preload(LIBRARIES)


def run_python(
    words: Sequence[object], env: Mapping[str, str], cwd: Path | None = None
) -> CompletedProcess[str]:
    """What ``python WORDS`` leaves: SCRIPT ARGUMENTS, or -m MODULE ARGUMENTS."""
    (done,) = _run_all(words, [env], cwd)
    return done


def run_torchrun(
    processes: int, words: Sequence[object], env: Mapping[str, str], cwd: Path | None = None
) -> CompletedProcess[str]:
    """What as many processes as torchrun would start leave together; its code is the worst."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {**env, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"):
        shared[name] = str(processes)
    ranks = [{**shared, "RANK": str(r), "LOCAL_RANK": str(r)} for r in range(processes)]
    done = _run_all(words, ranks, cwd)
    code = max((one.returncode for one in done), key=abs)
    out, err = ("".join(texts) for texts in zip(*((d.stdout, d.stderr) for d in done), strict=True))
    return CompletedProcess(words, code, out, err)


def _run_all(
    words: Sequence[object], envs: Sequence[Mapping[str, str]], cwd: Path | None
) -> list[CompletedProcess[str]]:
    """Run the same in several environments side by side."""
    words = [str(word) for word in words]
    with tempfile.TemporaryDirectory() as folder:
        started = []
        for number, env in enumerate(envs):
            files = tuple(os.path.join(folder, f"{number}.{kind}") for kind in ("out", "err"))
            arguments = (words, dict(env), str(cwd or Path.cwd()), files)
            process = _forkserver.Process(target=_become, args=arguments)
            process.start()
            started.append((process, files))
        _wait_for([process for process, _ in started])
        return [
            CompletedProcess(words, process.exitcode, *(Path(file).read_text() for file in files))
            for process, files in started
        ]


def _wait_for(processes: Sequence[BaseProcess]) -> None:
    """Until all have ended; when one fails the others, which would wait for it, are stopped."""
    running = {process.sentinel: process for process in processes}
    while running:
        for sentinel in wait(list(running)):
            process = running.pop(sentinel)
            process.join()
            for other in running.values() if process.exitcode else ():
                other.terminate()


def _become(words: list[str], env: dict[str, str], cwd: str, files: Sequence[str]) -> None:
    """Be a new Python that was started like this; in the forked process."""
    gc.freeze()  # what was imported before the fork stays, and need not be looked through again
    for number, file in enumerate(files, start=1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(env)
    sys.modules["torch"].set_num_threads(int(env.get("OMP_NUM_THREADS", "1")))
    of_module = words[0] == "-m"
    sys.argv = words[of_module:]
    own = {str(ROOT), str(ROOT / "tests"), ""}
    start = cwd if of_module else os.path.dirname(os.path.abspath(words[0]))
    given = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [start, *given, *(path for path in sys.path if path not in own)]
    run = runpy.run_module if of_module else runpy.run_path
    run(sys.argv[0], run_name="__main__", **({"alter_sys": True} if of_module else {}))
