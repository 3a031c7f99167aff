"""The bootstrap of RecurrentAttentionSeg, all phases of the shipped config in one command."""

from __future__ import annotations

import pytest
import torch
import yaml
from official import few_drawn

from recseg_d2 import cli
from recseg_d2.cli import train
from recseg_d2.config import get_config_file

pytestmark = pytest.mark.slow

CONFIG = "ris_synthetic.yaml"
TINY = {
    "MODEL.DEVICE": "cpu",
    "MODEL.SEQUENTIAL.IMAGE_SIZE": (32, 32),
    "MODEL.RIS.BOX.WIDTHS": [4, 4],
    "MODEL.RIS.BOX.POOLS": [2, 2],
    "MODEL.RIS.BOX.HIDDEN_WIDTH": 6,
    "MODEL.RIS.PATCH.SIZE": (8, 8),
    "MODEL.RIS.PATCH.WIDTHS": [4, 4],
    "MODEL.RIS.PATCH.POOLS": [1, 2],
    "MODEL.RIS.PATCH.DECODER_WIDTHS": [4, 4],
    "MODEL.RIS.PATCH.SKIPS": [True, True],
    "MODEL.RIS.PREPROCESSOR.WIDTHS": [[4, 4], [4, 6]],
    "MODEL.RIS.PREPROCESSOR.SKIPS": [1, 1],
    "SOLVER.IMS_PER_BATCH": 2,
    "SOLVER.EMA_DECAY": 0.0,
    "DATASETS.TEST": (),
}
STILL = 1e-12  # a learning rate that changes nothing


@pytest.fixture(scope="module")
def output(tmp_path_factory):
    """The folder of a run of all phases, the last of which learns nothing."""
    folder = tmp_path_factory.mktemp("ris")
    phases = yaml.safe_load(get_config_file(CONFIG).read_text())["SOLVER"]["PHASES"]
    assert [phase["NAME"] for phase in phases] == ["preprocessor", "box", "full"]
    for phase in phases:
        phase["SOLVER"]["MAX_ITER"] = 2
    phases[-1]["SOLVER"].update(BASE_LR=STILL, WEIGHT_DECAY=0.0)
    keys = {**TINY, "SOLVER.PHASES": phases, "OUTPUT_DIR": str(folder)}
    opts = [str(x) for pair in keys.items() for x in pair]
    with few_drawn(4):
        assert cli.run(train.main, ["--config-file", CONFIG, *opts]) == 0
    return folder


def weights(output, phase, prefix):
    state = torch.load(output / phase / "model_final.pth", weights_only=False)["model"]
    return {k: torch.as_tensor(v) for k, v in state.items() if k.startswith(prefix)}


def test_each_phase_has_what_it_trains(output):
    assert not weights(output, "1_preprocessor", "network.")
    assert weights(output, "2_box", "network.box_network.")
    assert not weights(output, "2_box", "network.segmentation.")
    assert weights(output, ".", "network.segmentation.")


def test_the_box_phase_leaves_the_preprocessor_alone(output):
    before = weights(output, "1_preprocessor", "preprocessor.")
    after = weights(output, "2_box", "preprocessor.")
    assert len(before) > 10
    assert before.keys() == after.keys()
    for name, value in before.items():  # the norms' statistics included
        torch.testing.assert_close(after[name], value, rtol=0, atol=0)


def test_weights_pass_from_the_box_phase_by_name(output):
    before = weights(output, "2_box", "network.box_network.")
    after = weights(output, ".", "network.box_network.")
    learned = [name for name in before if name.endswith((".weight", ".bias"))]
    assert len(learned) > 5
    for name in learned:
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=1e-6)
