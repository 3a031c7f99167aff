import argparse
import subprocess
import sys

import pytest
import torch

from recseg_d2.engine.launch import launch
from recseg_d2.errors import UserError


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
def test_asking_for_gpus_that_are_not_there_trains_in_one_process(capsys):
    args = argparse.Namespace(num_gpus=4, num_machines=1, machine_rank=0, dist_url="auto")
    assert launch(lambda a: a.num_gpus, args) == 0
    assert (
        "--num-gpus 4, but 0 found: training in one process on the CPU." in capsys.readouterr().out
    )


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without a GPU")
@pytest.mark.parametrize("gpus", [0, 1, 4])
def test_several_machines_need_their_gpus(gpus):
    args = argparse.Namespace(num_gpus=gpus, num_machines=2, machine_rank=0, dist_url="auto")
    expected = f"--num-machines 2 --num-gpus {gpus}, but this machine has 0"
    with pytest.raises(UserError, match=expected):
        launch(lambda a: a.num_gpus, args)


@pytest.mark.slow
def test_torchrun_processes_find_each_other(tool_env, tmp_path):
    script = tmp_path / "main.py"
    script.write_text(
        "import argparse, os, recseg_d2\n"
        "from detectron2.utils import comm\n"
        "from recseg_d2.engine.launch import launch\n"
        "def main(args):\n"
        "    numbers = comm.get_rank(), comm.get_world_size(), comm.get_local_rank()\n"
        "    os.write(1, b'rank %d of %d %d\\n' % numbers)  # in one piece\n"
        "launch(main, argparse.Namespace(num_gpus=1, num_machines=1))\n"
    )
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-addr", "127.0.0.1", "--master-port", "0", "--standalone", str(script)]
    result = subprocess.run(command, env=tool_env, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "rank 0 of 2 0" in result.stdout
    assert "rank 1 of 2 1" in result.stdout
