"""The curves of an interrupted run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from recseg_d2.engine.metrics_log import cut_metrics
from recseg_d2.engine.trainer import Trainer


@pytest.mark.parametrize(
    ("start", "kept", "last"), [(0, 0, -1), (3, 1, 2), (5, 2, 4), (6, 3, 5), (99, 3, 5)]
)
def test_lines_of_iterations_that_are_done_again_are_removed(tmp_path, start, kept, last):
    path = tmp_path / "metrics.json"
    lines = [json.dumps({"iteration": i}) + "\n" for i in (2, 4, 5)]
    path.write_text("".join(lines) + '{"iteration": 6, "tot')  # it was killed while it wrote
    assert cut_metrics(path, start) == last
    assert path.read_text() == "".join(lines[:kept])


def curves(cfg):
    """Lines of metrics.json, without how long anything took."""
    lines = (Path(cfg.OUTPUT_DIR) / "metrics.json").read_text().splitlines()
    timed = ("time", "data_time", "rank_data_time", "eta_seconds")
    return [{k: v for k, v in json.loads(line).items() if k not in timed} for line in lines]


def trained(cfg, breaks_at=None, resume=False):
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=resume)
    if breaks_at is not None:
        run_step = trainer.run_step

        def step():
            if trainer.iter == breaks_at:
                raise SystemExit
            run_step()

        trainer.run_step = step
    trainer.train()


def test_smoothed_curves_go_on_as_if_never_stopped(tiny_cfg, tiny_dataset, tmp_path):
    tiny_cfg.merge_from_list(
        [
            *("SOLVER.MAX_ITER", 8, "SOLVER.LOG_PERIOD", 3, "SOLVER.CHECKPOINT_PERIOD", 4),
            *("DATASETS.TEST", (tiny_dataset,), "TEST.EVAL_PERIOD", 4),
        ]
    )
    trained(tiny_cfg)
    whole = curves(tiny_cfg)
    tiny_cfg.OUTPUT_DIR = str(tmp_path / "broken")
    with pytest.raises(SystemExit):
        trained(tiny_cfg, breaks_at=7)
    assert [line["iteration"] for line in curves(tiny_cfg)][-1] >= 6  # will be done again
    trained(tiny_cfg, resume=True)
    assert curves(tiny_cfg) == whole
