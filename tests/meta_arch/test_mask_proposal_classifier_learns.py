"""MaskProposalClassifier overfits a few scenes, and its scores are those of their objects."""

from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog

from projects.instance_fcn import random_proposals
from recseg_d2.config import load_config
from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.coco_results import load_results, results_of, save_results
from recseg_d2.data.sources.synthetic import Scenes
from recseg_d2.engine.trainer import Trainer

NAME, IMAGES, SIZE = "classifier_learns_scenes", 6, 64


@pytest.fixture
def scenes():
    """A few small scenes of several classes."""
    Scenes(NAME, IMAGES, first_seed=30, size=SIZE).register()
    yield DatasetCatalog.get(NAME)
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


@pytest.fixture
def files(scenes, tmp_path):
    """Proposals: objects' own masks among random boxes, and the random boxes alone."""
    random_proposals.main(["--dataset", NAME, "--output", str(tmp_path), "--number", "10"])
    boxes = tmp_path / f"proposals_{NAME}.json"
    results = [entry for entries in load_results(boxes).entries.values() for entry in entries]
    for record in scenes:
        shape = (record["height"], record["width"])
        masks = [decode_segmentation(a["segmentation"], shape, "") for a in record["annotations"]]
        results += results_of(record["image_id"], np.stack(masks), np.ones(len(masks)))
    save_results(tmp_path / "own.json", results)
    return str(tmp_path / "own.json"), str(boxes)


def trained(files, folder):
    options = [
        *(
            "MODEL.WEIGHTS",
            "",
            "DATASETS.TRAIN",
            (NAME,),
            "DATASETS.TEST",
            (NAME,),
            "MODEL.DEVICE",
            "cpu",
        ),
        *("DATASETS.PROPOSAL_FILES_TRAIN", files, "DATASETS.PROPOSAL_FILES_TEST", files),
        *("INPUT.AUGS", [], "INPUT.MIN_SIZE_TRAIN", (SIZE,), "TEST.NUM_PICTURES", 0),
        *("SOLVER.MAX_ITER", 30, "SOLVER.IMS_PER_BATCH", IMAGES, "SOLVER.WARMUP_ITERS", 0),
        *("SOLVER.BASE_LR", 0.004, "SOLVER.EMA_DECAY", 0.0, "TEST.VAL_LOSS", False),
        *("MODEL.PROPOSAL_CLASSIFIER.FC_WIDTH", 64, "OUTPUT_DIR", str(folder)),
        *("SOLVER.PLATEAU.METRIC", ""),
    ]
    trainer = Trainer(load_config("instancefcn_classifier_synthetic.yaml", options))
    trainer.resume_or_load(resume=False)
    trainer.train()
    return trainer


@pytest.mark.slow
def test_it_learns_the_classes_of_masks(files, tmp_path):
    """With objects' own masks it finds all of them; the boxes alone are no masks of theirs."""
    own, boxes = files
    trainer = trained((own,), tmp_path / "own")
    cfg = trainer.cfg.clone()
    cfg.defrost()
    cfg.DATASETS.PROPOSAL_FILES_TEST = (boxes,)
    poor = Trainer.test(cfg, trainer.model.eval())["voc_segm"]["APr50"]
    assert trainer.last_results["voc_segm"]["APr50"] > 90
    assert poor < 45
