from __future__ import annotations

from contextlib import nullcontext

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.modeling import build_model

from projects.instance_fcn.random_proposals import BoxRange, box_masks, random_boxes
from recseg_d2.config import load_config
from recseg_d2.data.datasets import register_synthetic_scenes
from recseg_d2.data.proposal_files import proposals_to_results, save_proposals
from recseg_d2.engine import pictures
from recseg_d2.engine.pictures import SamplePictures

NAME, SIZE = "pictures_test_scenes", 48


@pytest.fixture
def cfg(tmp_path):
    """A classifier of proposals, of three scenes with five proposals each."""
    register_synthetic_scenes(NAME, 3, first_seed=60, size=SIZE)
    results = []
    for image in (60, 61, 62):
        rng = np.random.default_rng(image)
        boxes = random_boxes(rng, (SIZE, SIZE), 5, BoxRange())
        results += proposals_to_results(image, box_masks(boxes, (SIZE, SIZE)), np.ones(5))
    save_proposals(tmp_path / "proposals.json", results)
    options = [
        *(
            "DATASETS.TEST",
            (NAME,),
            "DATASETS.PROPOSAL_FILES_TEST",
            (f"{tmp_path}/proposals.json",),
        ),
        *("MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "MODEL.PROPOSAL_CLASSIFIER.FC_WIDTH", 8),
        *("TEST.NUM_PICTURES", 2, "TEST.PICTURE_SCORE_THRESH", 0.0, "OUTPUT_DIR", str(tmp_path)),
    ]
    yield load_config("instancefcn_classifier_synthetic.yaml", options)
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def drawn(cfg, monkeypatch):
    """Numbers of instances in the pictures of each image, and the files."""
    numbers = []

    def draw(dicts, predictions, folder):
        numbers.extend(len(found) for found in predictions)
        return original(dicts, predictions, folder)

    original = pictures.draw_dataset_predictions
    monkeypatch.setattr(pictures, "draw_dataset_predictions", draw)
    files = SamplePictures(cfg, build_model(cfg), nullcontext).draw()
    monkeypatch.undo()
    return numbers, files


def test_proposals_reach_the_model_and_uncertain_instances_are_left_out(cfg, monkeypatch):
    numbers, files = drawn(cfg, monkeypatch)
    assert len(numbers) == 2
    assert min(numbers) > 0  # untrained: each proposal is of each class with a seventh
    assert all(file.is_file() for file in files)
    cfg.TEST.PICTURE_SCORE_THRESH = 0.5
    numbers, files = drawn(cfg, monkeypatch)
    assert numbers == [0, 0]
    assert all(file.is_file() for file in files)
