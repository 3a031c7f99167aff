import json
from pathlib import Path

import pytest
import torch
from detectron2.modeling import META_ARCH_REGISTRY
from detectron2.structures import Instances
from detectron2.utils import comm  # noqa: F401  (as a user's script would have it)

from recseg_d2.data.coco_results import load_results
from recseg_d2.engine import hard_images
from recseg_d2.engine.freezing import freeze_except
from recseg_d2.engine.trainer import Trainer
from recseg_d2.errors import UserError


def run(cfg, resume=False):
    Path(cfg.OUTPUT_DIR).mkdir(parents=True, exist_ok=True)
    trainer = Trainer(cfg)
    trainer.resume_or_load(resume=resume)
    trainer.train()
    return trainer


def lines(cfg):
    text = (Path(cfg.OUTPUT_DIR) / "metrics.json").read_text()
    return [json.loads(line) for line in text.splitlines()]


def weights(trainer):
    return {k: v.clone() for k, v in trainer.model.state_dict().items()}


def assert_same(a, b):
    assert a.keys() == b.keys()
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


def everything_on(cfg, name):
    cfg.merge_from_list(
        [
            *(
                "SOLVER.EMA_DECAY",
                0.9,
                "SOLVER.CURRICULUM.START",
                1,
                "SOLVER.CURRICULUM.PATIENCE",
                1,
            ),
            *("DATASETS.TEST", (name,), "TEST.EVAL_PERIOD", 2, "SOLVER.OPTIMIZER", "ADAMW"),
            *("SOLVER.LR_SCHEDULER_NAME", "WarmupFlatCosineLR", "SOLVER.FLAT_FRACTION", 0.5),
        ]
    )
    return cfg


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tiny_cfg, tmp_path):
    first = weights(run(tiny_cfg))
    tiny_cfg.OUTPUT_DIR = str(tmp_path / "again")
    assert_same(first, weights(run(tiny_cfg)))
    tiny_cfg.OUTPUT_DIR, tiny_cfg.SEED = str(tmp_path / "other"), 1
    other = weights(run(tiny_cfg))
    assert any(not torch.equal(first[k], other[k]) for k in first)


ATTENTION = [
    *("MODEL.META_ARCHITECTURE", "RecurrentAttentionSeg", "MODEL.RIS.PREPROCESSOR.ENABLED", False),
    *("MODEL.RIS.BOX.WIDTHS", (4, 6), "MODEL.RIS.BOX.POOLS", (2, 2)),
    *("MODEL.RIS.BOX.HIDDEN_WIDTH", 8, "MODEL.RIS.PATCH.SIZE", (8, 8)),
    *("MODEL.RIS.PATCH.WIDTHS", (4, 4), "MODEL.RIS.PATCH.POOLS", (2, 2)),
    *("MODEL.RIS.PATCH.DECODER_WIDTHS", (4, 4), "MODEL.RIS.PATCH.SKIPS", (True, False)),
    *("MODEL.RIS.SAMPLING.MASK_START", 1.0, "MODEL.RIS.SAMPLING.BOX_START", 0.0),
    *("MODEL.RIS.SAMPLING.DECAY", 3.0, "SOLVER.BASE_LR", 0.001),
]

# Images are drawn anew after iteration 3, between two checkpoints.
DENSE = [
    *("MODEL.META_ARCHITECTURE", "DenseAttentionSeg", "SOLVER.HARD_IMAGES_PERIOD", 3),
    *("MODEL.BACKBONE.NAME", "build_residual_encoder_backbone", "INPUT.RESIZE", "scale"),
    *("MODEL.RESIDUAL_ENCODER.WIDTHS", (4, 4, 4), "MODEL.DENSE_ATTENTION.NETWORK.CELLS", 12),
    *("MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", 3, "INPUT.AUGS", ["similarity_crop"]),
    *("INPUT.SIMILARITY_CROP.SIZE", 32, "SOLVER.CURRICULUM.START", 0),
]


@pytest.mark.parametrize("architecture", [[], ATTENTION, DENSE], ids=["rsis", "attention", "dense"])
def test_an_interrupted_run_goes_on_bit_for_bit(
    tiny_cfg, tiny_dataset, tmp_path, architecture, monkeypatch
):
    # far apart, or the few images here would be drawn as they are without weights
    monkeypatch.setattr(hard_images, "_weight", lambda iou: 9.0 if iou < 0.56 else 0.1)
    cfg = everything_on(tiny_cfg, tiny_dataset)
    cfg.merge_from_list(architecture)
    cfg.SOLVER.MAX_ITER = 6
    whole = run(cfg)
    cfg.OUTPUT_DIR = str(tmp_path / "broken")
    Path(cfg.OUTPUT_DIR).mkdir()
    broken = Trainer(cfg)
    broken.resume_or_load(resume=False)

    class PowerCut(BaseException):
        pass

    def stop():
        if broken.iter == 4:
            raise PowerCut

    original = broken.run_step
    broken.run_step = lambda: (stop(), original())
    with pytest.raises(PowerCut):
        broken.train()
    resumed = run(cfg, resume=True)
    assert resumed.start_iter == 4
    assert_same(weights(whole), weights(resumed))


def test_the_model_knows_the_iteration(tiny_cfg):
    tiny_cfg.SOLVER.MAX_ITER = 3
    assert run(tiny_cfg).model.iteration == 2


def test_the_number_of_workers_changes_nothing(tiny_cfg, tmp_path):
    tiny_cfg.SOLVER.MAX_ITER = 2
    alone = weights(run(tiny_cfg))
    tiny_cfg.OUTPUT_DIR, tiny_cfg.DATALOADER.NUM_WORKERS = str(tmp_path / "workers"), 2
    assert_same(alone, weights(run(tiny_cfg)))


def test_metrics_end_in_metrics_json_with_validation_losses(tiny_cfg, tiny_dataset):
    tiny_cfg.DATASETS.TEST = (tiny_dataset,)
    trainer = run(tiny_cfg)
    last = lines(tiny_cfg)[-1]
    assert last["label_map/SBD"] == trainer.last_results["label_map"]["SBD"]
    assert "label_map/absDiC" in last
    merged = {k: v for line in lines(tiny_cfg) for k, v in line.items()}
    assert merged["val_loss/total_loss"] == pytest.approx(
        sum(merged[f"val_loss/{t}"] for t in ("mask", "box", "stop"))
    )


def test_validation_leaves_batch_norm_and_mode_alone(tiny_cfg, tiny_dataset):
    tiny_cfg.DATASETS.TEST = (tiny_dataset,)
    trainer = Trainer(tiny_cfg)
    before = weights(trainer)
    hook = next(h for h in trainer._hooks if type(h).__name__ == "ValidationLoss")
    hook.measure()
    assert trainer.model.training
    assert_same(before, weights(trainer))


def test_the_average_is_what_the_final_checkpoint_holds(tiny_cfg):
    tiny_cfg.SOLVER.EMA_DECAY = 0.9
    trainer = run(tiny_cfg)
    final = torch.load(Path(tiny_cfg.OUTPUT_DIR) / "model_final.pth", weights_only=False)
    hook = next(h for h in trainer._hooks if type(h).__name__ == "WeightAverage")
    for name, value in hook.state_dict()["average"].items():
        assert torch.equal(final["model"][name], value), name


def test_only_what_is_named_is_trained_and_frozen_norms_keep_still(tiny_cfg):
    tiny_cfg.SOLVER.TRAINABLE = [r"decoder\."]
    before = weights(Trainer(tiny_cfg))
    after = weights(run(tiny_cfg))
    for name, value in before.items():
        if name.startswith("backbone."):
            assert torch.equal(value, after[name]), name
    assert any(not torch.equal(v, after[k]) for k, v in before.items() if "decoder" in k)


def test_a_pattern_that_matches_nothing_is_refused():
    with pytest.raises(
        UserError, match=r"'encoder' matches no parameter; names begin with \['0'\]"
    ):
        freeze_except(torch.nn.Sequential(torch.nn.Linear(1, 1)), ["encoder"])


def test_training_ends_when_the_metric_no_longer_improves(tiny_cfg, tiny_dataset):
    tiny_cfg.merge_from_list(
        [
            *("DATASETS.TEST", (tiny_dataset,), "TEST.EVAL_PERIOD", 1),
            *("SOLVER.PLATEAU.PATIENCE", 2, "SOLVER.PLATEAU.METRIC", "label_map/absDiC"),
            *("SOLVER.PLATEAU.HIGHER_IS_BETTER", True, "SOLVER.MAX_ITER", 50),
            *("SOLVER.BASE_LR", 1e-12, "TEST.VAL_LOSS", False),
        ]
    )
    trainer = run(tiny_cfg)
    folder = Path(tiny_cfg.OUTPUT_DIR)
    assert trainer.iter < 10
    assert (folder / "model_final.pth").read_bytes() == (folder / "model_best.pth").read_bytes()
    assert trainer.last_results["label_map"]["SBD"] >= 0
    assert "label_map/absDiC" in lines(tiny_cfg)[-1]


def test_a_metric_that_no_evaluation_produces_is_named(tiny_cfg, tiny_dataset, caplog):
    tiny_cfg.merge_from_list(
        ["DATASETS.TEST", (tiny_dataset,), "SOLVER.PLATEAU.METRIC", "label_map/sbd"]
    )
    run(tiny_cfg)
    assert "SOLVER.PLATEAU.METRIC is label_map/sbd, which no evaluation produced" in caplog.text
    assert "label_map/SBD" in caplog.text


def test_a_finished_run_that_is_extended_leaves_no_iteration_out(tiny_cfg):
    tiny_cfg.SOLVER.EMA_DECAY = 0.9
    run(tiny_cfg)
    tiny_cfg.SOLVER.MAX_ITER += 2
    trainer = Trainer(tiny_cfg)
    trainer.resume_or_load(resume=True)
    assert trainer.start_iter == 4


def test_a_resumed_run_has_the_rates_of_its_config(tiny_cfg):
    tiny_cfg.SOLVER.LR_SCHEDULER_NAME = "WarmupCosineLR"
    run(tiny_cfg)
    tiny_cfg.merge_from_list(["SOLVER.BASE_LR", 0.02, "SOLVER.WEIGHT_DECAY", 0.5])
    tiny_cfg.SOLVER.MAX_ITER = 8
    trainer = Trainer(tiny_cfg)
    trainer.resume_or_load(resume=True)
    for group in trainer.optimizer.param_groups:
        assert group["lr"] == pytest.approx(0.01)  # half way down from 0.02
    assert {group["weight_decay"] for group in trainer.optimizer.param_groups} == {0.5, 0.0}


def test_resuming_starts_from_the_latest_checkpoint_and_not_the_best(tiny_cfg, tiny_dataset):
    tiny_cfg.merge_from_list(["DATASETS.TEST", (tiny_dataset,), "TEST.EVAL_PERIOD", 1])
    run(tiny_cfg)
    folder = Path(tiny_cfg.OUTPUT_DIR)
    assert (folder / "model_best.pth").exists()
    assert (folder / "last_checkpoint").read_text() == "model_final.pth"


@pytest.mark.parametrize("wanted", [True, False])
def test_predictions_are_kept_for_analyses_where_asked_for(tiny_cfg, tiny_dataset, wanted):
    settings = ["DATASETS.TEST", (tiny_dataset,), "SOLVER.MAX_ITER", 1, "TEST.VAL_LOSS", False]
    tiny_cfg.merge_from_list([*settings, "TEST.SAVE_PREDICTIONS", wanted])
    trainer = run(tiny_cfg)
    assert trainer.last_results.keys() == {"label_map"}
    folder = Path(tiny_cfg.OUTPUT_DIR) / "inference" / tiny_dataset
    assert (folder / f"label_map_{tiny_dataset}.json").is_file()
    path = folder / f"predictions_{tiny_dataset}.json"
    assert path.is_file() == wanted
    if wanted:
        assert len(load_results(path).images) == 6


@META_ARCH_REGISTRY.register()
class NumbersItsResults(torch.nn.Module):
    """Finds a square at once, numbered as its first step."""

    def __init__(self, cfg):
        super().__init__()

    def forward(self, inputs):
        masks = torch.zeros(1, inputs[0]["height"], inputs[0]["width"], dtype=torch.bool)
        masks[:, :5, :5] = True
        one = torch.zeros(1, dtype=torch.int64)
        found = Instances(masks.shape[1:], pred_masks=masks, scores=one + 0.5, step=one)
        return [{"instances": found}]


def test_only_sequential_models_have_an_order_of_discovery(tiny_cfg, tiny_dataset):
    tiny_cfg.merge_from_list(["DATASETS.TEST", (tiny_dataset,)])
    tiny_cfg.MODEL.META_ARCHITECTURE = "NumbersItsResults"
    Trainer.test(tiny_cfg, NumbersItsResults(tiny_cfg))
    folder = Path(tiny_cfg.OUTPUT_DIR) / "inference" / tiny_dataset
    for entries in load_results(folder / f"predictions_{tiny_dataset}.json").entries.values():
        assert ["step" in entry for entry in entries] == [False]
