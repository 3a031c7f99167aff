"""Every shipped config runs as a user runs it, on small data in its official layout.

Each phase trains for an iteration, evaluates and writes its files. Meanwhile every read of a config
key is noted, so that a key that a config sets and nothing looks at is found.
"""

from __future__ import annotations

import gc
import math
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from detectron2.data import DatasetCatalog
from detectron2.modeling import build_backbone
from official import few_drawn, missing_library
from option_reads import note_reads
from PIL import Image

from recseg_d2.cli.train import run_phase
from recseg_d2.cli.train_checks import check_config
from recseg_d2.config import load_config, read_options
from recseg_d2.config.options import SolverOptions
from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.coco_results import results_of, save_results
from recseg_d2.engine.phases import phase_configs

ROOT = Path(__file__).parent.parent
CONFIGS = sorted([*ROOT.glob("configs/*.yaml"), *ROOT.glob("projects/*/configs/*.yaml")])
STAND_IN = ("cvppp_a1_train", "cvppp_a1_val")  # where the command line names a user's folder

SMALL = [
    *("MODEL.WEIGHTS", "", "MODEL.DEVICE", "cpu", "SOLVER.IMS_PER_BATCH", 2),
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", (64, 64), "MODEL.SEQUENTIAL.STEPS", 3),
    *("MODEL.SEQUENTIAL.TEST.SCORE_THRESH", 0.0, "MODEL.RIS.PATCH.SIZE", (48, 48)),
    *("MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.RES2_OUT_CHANNELS", 64),
    *("MODEL.INSTANCE_FCN.TEST.SCALES", (48, 64), "MODEL.INSTANCE_FCN.TEST.TOPK", 5),
    *("MODEL.DENSE_ATTENTION.TEST.HEAT_THRESH", 0.0, "MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", 5),
    *("MODEL.DENSE_ATTENTION.TEST.SCORE_THRESH", 0.0),
    *("MODEL.INSTANCE_FCN.TEST.MAX_SIDE", 64),  # scales may be multiples of the image, too
    *("MODEL.INSTANCE_FCN.SAMPLING.CROP_SIZE", 0, "MODEL.INSTANCE_FCN.SAMPLING.NUM_WINDOWS", 16),
    *("MODEL.PROPOSAL_CLASSIFIER.FC_WIDTH", 32),
    *("INPUT.MIN_SIZE_TRAIN", (64,), "INPUT.MIN_SIZE_TEST", 64),
    *("TEST.NUM_PICTURES", 1),
]
# Where a file makes this choice anew, these settings of its base's choice lie idle.
REPLACED = {
    "INPUT.RESIZE": ("INPUT.MIN_SIZE_TRAIN", "INPUT.MAX_SIZE_TRAIN"),  # and ..._SAMPLING
    "SOLVER.OPTIMIZER": ("SOLVER.MOMENTUM",),
    "SOLVER.LR_SCHEDULER_NAME": ("SOLVER.STEPS", "SOLVER.GAMMA", "SOLVER.NUM_DECAYS"),
    "SOLVER.PLATEAU.METRIC": ("SOLVER.PLATEAU.PATIENCE",),
    "MODEL.BACKBONE.NAME": ("MODEL.BACKBONE.FREEZE_AT", "MODEL.RESNETS."),
    "MODEL.RIS.PREPROCESSOR.ENABLED": ("MODEL.RIS.PREPROCESSOR.",),
    "MODEL.RIS.BOX.ENABLED": ("MODEL.RIS.BOX.", "MODEL.RIS.SAMPLING.BOX_START"),
    "MODEL.RIS.SAMPLING.MASKS": ("MODEL.RIS.SAMPLING.MASK_START",),
    "MODEL.RIS.SAMPLING.BOXES": ("MODEL.RIS.SAMPLING.BOX_START",),
}
# What says how the file itself is to be read, not what the program is to do.
ABOUT_THE_FILE = {"VERSION"}


def identify(path):
    return str(path.relative_to(ROOT))


@pytest.fixture
def reads(monkeypatch):
    """Dotted names of the config keys that are read, from now on."""
    yield note_reads(monkeypatch)
    gc.collect()  # a trainer and its hooks know each other: it would keep its images for long


def keys(node, prefix=""):
    """Dotted names of the leaves of nested dicts."""
    for key, value in node.items():
        if isinstance(value, dict):
            yield from keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"


def set_keys(path):
    """Keys that a config sets: by itself, in its phases, and by its bases as far as they count."""
    document = yaml.safe_load(path.read_text())
    bases = document.pop("_BASE_", [])
    own = set(keys(document))
    for phase in document.get("SOLVER", {}).get("PHASES", []):
        own |= {key for key in keys(phase) if key != "NAME"}
    idle = tuple(key for choice, settings in REPLACED.items() if choice in own for key in settings)
    inherited: set[str] = set()
    for base in [bases] if isinstance(bases, str) else bases:
        inherited |= set_keys(path.parent / base)
    return own | {key for key in inherited if not key.startswith(idle)}


def narrow(cfg):
    """The config with a pre-processor of as many layers, but of a few channels each.

    ``test_configs`` has it at its own width. An item that is got is no read, an attribute is one.
    """
    preprocessor = cfg["MODEL"]["RIS"]["PREPROCESSOR"]
    preprocessor["WIDTHS"] = [[8] * len(block) for block in preprocessor["WIDTHS"]]
    return cfg


def on_small_data(cfg, tmp_path):
    """The config with few and small images; skips where they cannot be written here."""
    for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST):
        if missing_library(name) is not None:
            pytest.skip(f"{missing_library(name)} is not installed")
    cfg.OUTPUT_DIR = str(tmp_path / "run")
    if cfg.MODEL.RIS.CLASS_SOURCE == "folder":
        cfg.MODEL.RIS.SEMANTIC_FOLDER.PATH = str(tmp_path)
        write_segmentations(cfg, tmp_path)
    for kind in ("TRAIN", "TEST"):
        names = cfg.DATASETS[kind]
        files = [tmp_path / f"{name}.json" for name in names]
        if cfg.DATASETS[f"PROPOSAL_FILES_{kind}"]:
            for name, file in zip(names, files, strict=True):
                save_results(file, true_masks(name))
            cfg.DATASETS[f"PROPOSAL_FILES_{kind}"] = tuple(map(str, files))
    return cfg


def write_segmentations(cfg, folder):
    """One of the first class for each image that is evaluated."""
    given = cfg.MODEL.RIS.SEMANTIC_FOLDER
    for record in (r for name in cfg.DATASETS.TEST for r in DatasetCatalog.get(name)):
        stem = Path(record["file_name"]).stem.removesuffix(given.IMAGE_SUFFIX) + given.SUFFIX
        size = (record["width"], record["height"])
        Image.new("L", size, color=given.LABEL_IDS[0]).save(folder / f"{stem}.png")


def true_masks(name):
    """Proposals without a flaw, and of a data set without objects none."""
    for record in DatasetCatalog.get(name):
        shape = (record["height"], record["width"])
        masks = [decode_segmentation(a["segmentation"], shape, "") for a in record["annotations"]]
        if masks:
            yield from results_of(
                record["image_id"], np.stack(masks) > 0, np.linspace(1, 0.5, len(masks))
            )


def phases_to_run(cfg, path):
    """All; of an ablation the last alone, since it has the phases of the config that it varies."""
    phases = list(phase_configs(cfg).values())
    if path.parent.parent.parent.name == "projects":
        phases = phases[-1:]
        phases[0].MODEL.WEIGHTS = ""
    return phases


@pytest.fixture(scope="module")
def data(official_data):
    """Few images of every built-in data set."""
    with few_drawn(3):
        yield


@pytest.mark.slow
@pytest.mark.parametrize("path", CONFIGS, ids=identify)
def test_trains_evaluates_and_reads_its_keys(path, data, tmp_path, reads):
    if "MODEL.BACKBONE.NAME" in set_keys(path):  # at its own size, that of its weights
        with torch.device("meta"):
            build_backbone(load_config(str(path), ["MODEL.DEVICE", "cpu"]))
    cfg = narrow(load_config(str(path), SMALL))
    if not cfg.DATASETS.TRAIN:
        cfg.DATASETS.TRAIN, cfg.DATASETS.TEST = STAND_IN[:1], STAND_IN[1:]
    cfg = on_small_data(cfg, tmp_path)
    for phase in phases_to_run(cfg, path):
        phase.SOLVER.MAX_ITER = 1
        check_config(phase)
        results = run_phase(phase, False)
        assert (Path(phase.OUTPUT_DIR) / "model_final.pth").is_file()
        assert any(math.isfinite(v) for group in results.values() for v in group.values())
    assert set_keys(path) - ABOUT_THE_FILE - reads == set()


def test_a_key_that_nothing_reads_would_be_found(reads):
    cfg = load_config("", [])
    _ = cfg.MODEL.RSIS.HIDDEN_WIDTHS
    clone = cfg.clone()
    _ = read_options(clone, SolverOptions).curriculum.start
    assert {"MODEL.RSIS.HIDDEN_WIDTHS", "SOLVER.CURRICULUM.START"} <= reads
    assert "MODEL.RSIS.SKIP_MODE" not in reads
    unread = set_keys(ROOT / "configs" / "rsis_cvppp.yaml") - reads
    assert {"SOLVER.PLATEAU.PATIENCE", "MODEL.RSIS.LOSS_WEIGHTS.STOP", "SOLVER.OPTIMIZER"} <= unread
    assert "SOLVER.CURRICULUM.START" not in unread
