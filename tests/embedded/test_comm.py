"""Talk between processes, seeds and files, on either Detectron2."""

from __future__ import annotations

import os
import pickle
import random
from pathlib import Path

import numpy as np
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from detectron2.utils import comm
from detectron2.utils.env import seed_all_rng
from detectron2.utils.file_io import PathHandler, PathManager


def test_one_process_needs_no_group():
    assert (comm.get_world_size(), comm.get_rank(), comm.get_local_rank()) == (1, 0, 0)
    assert comm.is_main_process()
    comm.synchronize()
    assert comm.all_gather("x") == comm.gather("x") == ["x"]
    assert 0 <= comm.shared_random_seed() < 2**31


def _worker(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", f"file://{folder}/meet", rank=rank, world_size=2)
    comm.create_local_process_group(1)  # two machines of one process
    seed_all_rng(rank)
    seen = {
        "all": comm.all_gather({"rank": rank}),
        "one": comm.gather(rank, dst=1),
        "seed": comm.shared_random_seed(),
        "local": comm.get_local_rank(),
        "main": comm.is_main_process(),
    }
    comm.synchronize()
    Path(folder, str(rank)).write_bytes(pickle.dumps(seen))
    dist.destroy_process_group()


def test_two_processes(tmp_path):
    mp.start_processes(_worker, (str(tmp_path),), nprocs=2, start_method="fork")
    first, second = (pickle.loads((tmp_path / str(rank)).read_bytes()) for rank in range(2))
    assert first["all"] == second["all"] == [{"rank": 0}, {"rank": 1}]
    assert (first["one"], second["one"]) == ([], [0, 1])
    assert first["seed"] == second["seed"]
    assert first["local"] == second["local"] == 0
    assert (first["main"], second["main"]) == (True, False)


def test_a_seed_fixes_all_generators(monkeypatch):
    monkeypatch.setenv("PYTHONHASHSEED", "0")
    draws = []
    for _ in range(2):
        seed_all_rng(7)
        draws.append((random.random(), np.random.rand(), torch.rand(1).item()))  # noqa: NPY002
    assert draws[0] == draws[1]
    assert os.environ["PYTHONHASHSEED"] == "7"


def test_own_path_handlers(tmp_path):
    class Handler(PathHandler):
        def _get_supported_prefixes(self):
            return ["embedded-test://"]

        def _get_local_path(self, path, force=False, **kwargs):
            return str(tmp_path / path.removeprefix("embedded-test://"))

        def _isfile(self, path, **kwargs):
            return os.path.isfile(self._get_local_path(path))

    PathManager.register_handler(Handler(), allow_override=True)
    (tmp_path / "x").write_text("text")
    assert PathManager.isfile("embedded-test://x")
    assert PathManager.get_local_path("embedded-test://x") == str(tmp_path / "x")
