from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog
from detectron2.data import transforms as T

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.datasets import register_synthetic_scenes
from recseg_d2.data.datasets.synthetic_scenes import load_scenes
from recseg_d2.data.loader import build_test_loader, build_train_loader, build_val_loader
from recseg_d2.data.mapper import InstanceMapper
from recseg_d2.data.proposal_files import proposals_to_results, save_proposals
from recseg_d2.data.proposals import (
    TEST,
    TRAIN,
    ProposalTestMapper,
    add_proposals,
    decode_proposals,
    has_proposals,
    move_proposals,
)
from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import masks_to_boxes

SIZE = 64


def random_masks(number, seed=0, size=SIZE):
    rng = np.random.default_rng(seed)
    masks = np.zeros((number, size, size), bool)
    for mask in masks:
        y, x = rng.integers(0, size - 8, 2)
        mask[y : y + rng.integers(2, 9), x : x + rng.integers(2, 9)] = True
    return masks


@pytest.fixture
def cfg(tmp_path, new_name):
    """Two images, the first of three with five proposals, the second with two."""
    name = new_name()
    register_synthetic_scenes(name, 3, first_seed=20, size=SIZE)
    path = tmp_path / "proposals.json"
    results = proposals_to_results(20, random_masks(5), np.array([0.9, 0.1, 0.7, 0.5, 1.0]))
    save_proposals(path, results + proposals_to_results(21, random_masks(2, 1), np.ones(2)))
    cfg = get_recseg_cfg()
    cfg.DATASETS.TRAIN = cfg.DATASETS.TEST = (name,)
    cfg.DATASETS.PROPOSAL_FILES_TRAIN = cfg.DATASETS.PROPOSAL_FILES_TEST = (str(path),)
    cfg.MODEL.RECURRENT.NUM_CLASSES = 6
    cfg.INPUT.RESIZE = "shortest_edge"
    cfg.INPUT.MIN_SIZE_TRAIN = (48,)
    cfg.INPUT.AUGS = []
    cfg.SOLVER.IMS_PER_BATCH = 3
    return cfg


def dicts_of(cfg):
    return DatasetCatalog.get(cfg.DATASETS.TRAIN[0])


def test_the_best_proposals_are_added_to_the_dicts(cfg):
    cfg.DATASETS.PRECOMPUTED_PROPOSAL_TOPK_TRAIN = 3
    plain = dicts_of(cfg)
    found = add_proposals(cfg, plain, cfg.DATASETS.TRAIN[0], TRAIN)
    assert [[e["score"] for e in r["proposals"]] for r in found] == [[1.0, 0.9, 0.7], [1, 1], []]
    assert "proposals" not in plain[0]
    assert len(add_proposals(cfg, plain, cfg.DATASETS.TRAIN[0], TEST)[0]["proposals"]) == 5


def test_without_files_the_dicts_stay_as_they_are(cfg):
    cfg.DATASETS.PROPOSAL_FILES_TRAIN = ()
    plain = dicts_of(cfg)
    assert add_proposals(cfg, plain, cfg.DATASETS.TRAIN[0], TRAIN) is plain
    assert not has_proposals(cfg, TRAIN)
    assert has_proposals(cfg, TEST)


def test_a_file_for_each_data_set(cfg):
    cfg.DATASETS.TEST = (*cfg.DATASETS.TEST, "synthetic_scenes_val")
    with pytest.raises(UserError, match="PROPOSAL_FILES_TEST names 1 files; expected one for each"):
        has_proposals(cfg, TEST)


def test_files_of_another_data_set_are_refused(cfg, tmp_path):
    save_proposals(tmp_path / "other.json", proposals_to_results(7, random_masks(2), np.ones(2)))
    cfg.DATASETS.PROPOSAL_FILES_TRAIN = (str(tmp_path / "other.json"),)
    with pytest.raises(
        UserError, match=r"other\.json: has no proposal for any image of .*ids are 7"
    ):
        add_proposals(cfg, dicts_of(cfg), cfg.DATASETS.TRAIN[0], TRAIN)
    cfg.DATASETS.PROPOSAL_FILES_TRAIN = (str(tmp_path / "none.json"),)
    with pytest.raises(UserError, match=r"none\.json: cannot be read"):
        add_proposals(cfg, dicts_of(cfg), cfg.DATASETS.TRAIN[0], TRAIN)


def test_a_file_that_changed_is_read_again(cfg):
    path = cfg.DATASETS.PROPOSAL_FILES_TRAIN[0]
    add_proposals(cfg, dicts_of(cfg), cfg.DATASETS.TRAIN[0], TRAIN)
    save_proposals(path, proposals_to_results(20, random_masks(1), np.ones(1)))
    found = add_proposals(cfg, dicts_of(cfg), cfg.DATASETS.TRAIN[0], TRAIN)
    assert [len(r["proposals"]) for r in found] == [1, 0, 0]


def test_decoded_masks_boxes_and_logits():
    masks = random_masks(4)
    found = decode_proposals(
        proposals_to_results(1, masks, np.array([0.5, 0.25, 0, 1])), (SIZE, SIZE), "a.png"
    )
    np.testing.assert_array_equal(found.pred_masks, masks)
    assert found.pred_masks.dtype == torch.bool
    expected = masks_to_boxes(torch.from_numpy(masks))
    torch.testing.assert_close(found.proposal_boxes.tensor, expected)
    torch.testing.assert_close(found.objectness_logits[:2], torch.tensor([0, -np.log(3)]).float())
    assert found.objectness_logits.isfinite().all()
    assert len(decode_proposals([], (5, 7), "a.png")) == 0


def test_masks_of_another_size_are_refused():
    entries = proposals_to_results(1, random_masks(1), np.ones(1))
    with pytest.raises(
        UserError, match=r"a\.png: found a proposal of 64x64 pixels, expected .*7x5"
    ):
        decode_proposals(entries, (5, 7), "a.png")


def test_proposals_move_as_masks_do_and_may_leave_the_frame():
    masks = np.zeros((2, 4, 6), bool)
    masks[0, 1, 0:2] = masks[1, 3, 5] = True
    entries = proposals_to_results(1, masks, np.array([0.9, 0.5]))
    given = decode_proposals(entries, (4, 6), "a.png")
    moved = move_proposals(given, T.TransformList([T.HFlipTransform(6)]), (4, 6))
    np.testing.assert_array_equal(moved.pred_masks, masks[:, :, ::-1])
    assert moved.proposal_boxes.tensor.tolist() == [[4, 1, 6, 2], [0, 3, 1, 4]]
    cropped = move_proposals(given, T.TransformList([T.CropTransform(0, 0, 3, 3)]), (3, 3))
    assert cropped.objectness_logits.tolist() == given.objectness_logits[:1].tolist()


def test_in_training_they_follow_the_image(cfg):
    """A proposal that is an object's own mask stays it, through flips and a resize."""
    (record,) = load_scenes(1, 5, SIZE)
    entries = [{**a, "score": 0.5} for a in record["annotations"]]
    cfg.INPUT.AUGS = ["hflip", "vflip", "transpose"]
    mapper = InstanceMapper(cfg)
    for _ in range(4):
        result = mapper({**record, "proposals": entries})
        assert result["proposals"].image_size == (48, 48)
        torch.testing.assert_close(
            result["proposals"].pred_masks, result["instances"].gt_masks.tensor
        )


def test_at_test_they_stay_at_the_images_own_size(cfg):
    cfg.INPUT.MIN_SIZE_TEST = 32
    (record,) = load_scenes(1, 5, SIZE)
    masks = random_masks(3)
    entries = proposals_to_results(5, masks, np.ones(3))
    result = ProposalTestMapper(cfg)({**record, "proposals": entries})
    assert result["image"].shape == (3, 32, 32)
    np.testing.assert_array_equal(result["proposals"].pred_masks, masks)
    assert "proposals" not in ProposalTestMapper(cfg)(record)


def test_all_loaders_bring_them(cfg):
    name = cfg.DATASETS.TRAIN[0]
    batch = next(iter(build_train_loader(cfg)))
    assert {r["image_id"]: len(r["proposals"]) for r in batch} == {20: 5, 21: 2, 22: 0}
    assert [len(r["proposals"]) for b in build_val_loader(cfg, name) for r in b] == [5, 2, 0]
    assert [len(r["proposals"]) for b in build_test_loader(cfg, name) for r in b] == [5, 2, 0]


def test_other_tools_results_serve(cfg):
    """Of COCO's results only the keys that are needed have to be there."""
    path = cfg.DATASETS.PROPOSAL_FILES_TEST[0]
    with open(path) as file:
        entries = json.load(file)
    for entry in entries:
        entry["name"] = "something"
    with open(path, "w") as file:
        json.dump(entries, file)
    (first, *_) = build_test_loader(cfg, cfg.DATASETS.TEST[0])
    assert len(first[0]["proposals"]) == 5
