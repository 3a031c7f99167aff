"""Every option that is declared is read, by a model of each kind or by a short training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.modeling import build_backbone, build_model
from detectron2.structures import BitMasks, Instances
from option_reads import declared_keys, note_reads
from PIL import Image

from recseg_d2.cli.train import run_phase
from recseg_d2.config import load_config, read_options
from recseg_d2.data.resolution import build_resize
from recseg_d2.engine.phases import phase_configs
from recseg_d2.engine.run_folder import check_resumable
from recseg_d2.models.convlstm.options import ConvLSTMOptions
from recseg_d2.models.recurrent_attention.feeding import feeding_probability
from recseg_d2.models.recurrent_attention.options import RecurrentAttentionOptions

SIZE = (32, 32)
DENSE = [
    *("MODEL.RESIDUAL_ENCODER.WIDTHS", (4, 4, 4), "MODEL.NUM_CLASSES", 2),
    *("INPUT.SIMILARITY_CROP.SIZE", 32, "SOLVER.MAX_ITER", 1, "SOLVER.IMS_PER_BATCH", 1),
    *("MODEL.DENSE_ATTENTION.TILING.SIDE", 24, "MODEL.DENSE_ATTENTION.TILING.OVERLAP", 8),
    *("MODEL.DENSE_ATTENTION.TEST.HEAT_THRESH", 0.0, "MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", 3),
    *("MODEL.DENSE_ATTENTION.TEST.SCORE_THRESH", 0.0, "MODEL.DENSE_ATTENTION.TEST.MIN_AREA", 1),
    *("DATASETS.TRAIN", ("read_me",), "DATASETS.TEST", ()),
]
TRAINING = [
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", SIZE, "MODEL.SMALL_ENCODER.WIDTHS", (4, 6)),
    *("MODEL.RSIS.HIDDEN_WIDTHS", (6, 4), "MODEL.NUM_CLASSES", 2, "MODEL.RSIS.BOX_HEAD", True),
    *("SOLVER.MAX_ITER", 1, "SOLVER.IMS_PER_BATCH", 1, "SOLVER.CURRICULUM.START", 1),
    *("INPUT.AUGS", ("affine",), "DATASETS.TRAIN", ("read_me",), "DATASETS.TEST", ("read_me",)),
    *("TEST.EVALUATOR", "label_map"),
]
ATTENTION = [
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", SIZE, "MODEL.NUM_CLASSES", 2),
    *("MODEL.RIS.BOX.WIDTHS", (4,), "MODEL.RIS.BOX.POOLS", (2,), "MODEL.RIS.BOX.HIDDEN_WIDTH", 6),
]
PROPOSALS = [
    *("MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", 8, "MODEL.INSTANCE_FCN.TEST.SCALES", (32,)),
    *("MODEL.INSTANCE_FCN.HEAD.WINDOW", 6, "MODEL.INSTANCE_FCN.HEAD.MASK_SIDE", 12),
    *("MODEL.INSTANCE_FCN.HEAD.SCORE_WIDTH", 8),
]


def example(path: Path) -> dict:
    """Two objects, two proposals, and a file of a semantic segmentation beside the image's."""
    masks = torch.zeros(2, *SIZE, dtype=torch.bool)
    masks[0, 4:14, 4:14] = masks[1, 16:28, 10:30] = True
    truth = Instances(SIZE, gt_masks=BitMasks(masks), gt_classes=torch.tensor([0, 1]))
    Image.new("L", SIZE, color=1).save(path / "image_labels.png")
    given = Instances(SIZE, pred_masks=masks)
    image = torch.randint(0, 256, (3, *SIZE), dtype=torch.uint8)
    file_name = str(path / "image.png")
    return {"image": image, "instances": truth, "proposals": given, "file_name": file_name}


def step_and_predict(cfg, path) -> None:
    """Build a config's model, make a training step's losses and a prediction."""
    torch.manual_seed(0)
    model, batch = build_model(cfg), [example(path)]
    assert model(batch)
    with torch.no_grad():
        model.eval()(batch)


@pytest.fixture
def dataset(tmp_path):
    """A data set of one image with an object of each of two classes."""
    Image.new("RGB", SIZE).save(tmp_path / "one.png")
    square = [[4.0, 4.0, 4.0, 14.0, 14.0, 14.0, 14.0, 4.0]]
    annotation = {"bbox": [4, 4, 10, 10], "bbox_mode": 1, "segmentation": square}
    record = {
        **{"file_name": str(tmp_path / "one.png"), "image_id": 1, "height": 32, "width": 32},
        "annotations": [{**annotation, "category_id": c} for c in (0, 1)],
    }
    DatasetCatalog.register("read_me", lambda: [record])
    yield
    DatasetCatalog.remove("read_me")


def test_every_option_is_read(monkeypatch, tmp_path, dataset):
    reads = note_reads(monkeypatch)
    off = ["MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "OUTPUT_DIR", str(tmp_path)]

    def config(name, *opts):
        return load_config(name, [*off, *opts])

    (training,) = phase_configs(config("rsis_small.yaml", *TRAINING)).values()
    training.MODEL.WEIGHTS = str(tmp_path / "before.pth")
    torch.save(build_model(training).state_dict(), training.MODEL.WEIGHTS)
    run_phase(training, resume=False)
    training.SOLVER.BASE_LR, training.SOLVER.RESUME_CHANGES = 1.0, ("SOLVER.BASE_LR",)
    check_resumable({"": training}, training.OUTPUT_DIR)
    (dense,) = phase_configs(config("dense_small.yaml", *DENSE)).values()
    run_phase(dense, resume=False)
    for kind in ("percentiles", "range"):
        step_and_predict(config("dense_small.yaml", *DENSE, "INPUT.INTENSITY.KIND", kind), tmp_path)
    for source in ("head", "folder"):
        ris = ["MODEL.RIS.CLASS_SOURCE", source, "MODEL.RIS.SEMANTIC_FOLDER.PATH", str(tmp_path)]
        ris += ["MODEL.RIS.SEMANTIC_FOLDER.LABEL_IDS", (0, 1)]
        ris += ["MODEL.RIS.SEMANTIC_FOLDER.SUFFIX", "_labels"]
        step_and_predict(config("ris_small.yaml", *ATTENTION, *ris), tmp_path)
    for head in ("assembling", "deepmask"):
        fcn = ["MODEL.INSTANCE_FCN.HEAD.MASK_HEAD", head]
        step_and_predict(config("instancefcn_small.yaml", *PROPOSALS, *fcn), tmp_path)
    step_and_predict(config("instancefcn_classifier_synthetic.yaml"), tmp_path)
    build_backbone(config("instancefcn_voc.yaml"))
    build_resize(config("instancefcn_coco.yaml"), is_train=True)
    assert declared_keys() - reads == set()


def test_only_use_counts_as_reading(monkeypatch):
    reads = note_reads(monkeypatch)
    cfg = load_config("ris_small.yaml")
    options = read_options(cfg, RecurrentAttentionOptions)
    other = replace(options, canvas=False)
    assert options != other
    assert hash(options) != hash(other)
    assert repr(read_options(cfg, ConvLSTMOptions))
    assert not {key for key in reads if key.startswith(("MODEL.RIS", "MODEL.RSIS"))}
    assert [p for p in options.box.pools if p > 1]
    assert feeding_probability(options.sampling, "masks", 0, 0) == 1.0
    assert cfg.MODEL.RIS.PATCH.WIDTHS
    assert {key for key in reads if key.startswith(("MODEL.RIS", "MODEL.RSIS"))} == {
        "MODEL.RIS.BOX.POOLS",
        "MODEL.RIS.PATCH.WIDTHS",
        *(
            f"MODEL.RIS.SAMPLING.{name}"
            for name in ("MASKS", "MASK_START", "STEP_GAIN", "DECAY", "BASE")
        ),
    }
