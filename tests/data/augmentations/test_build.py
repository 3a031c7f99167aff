from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import transforms as T

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.augmentations import build_augmentations
from recseg_d2.errors import UserError


def test_augmentations_come_by_name_and_in_order():
    cfg = get_recseg_cfg()
    cfg.INPUT.AUGS = ["affine", "hflip", "vflip", "transpose", "color"]
    names = [type(a).__name__ for a in build_augmentations(cfg)]
    assert names == ["RandomAffine", "RandomFlip", "RandomFlip", "RandomTranspose", "RandomColor"]


def test_every_augmentation_moves_image_and_mask_alike():
    cfg = get_recseg_cfg()
    mask = np.zeros((32, 32), np.uint8)
    mask[4:20, 8:14] = 1
    for name in ("hflip", "vflip", "transpose", "affine"):
        cfg.INPUT.AUGS = [name]
        for seed in range(4):
            np.random.seed(seed)  # noqa: NPY002
            aug_input = T.AugInput(np.repeat(mask[..., None] * 255, 3, axis=2))
            transforms = T.AugmentationList(build_augmentations(cfg))(aug_input)
            moved = transforms.apply_segmentation(mask)
            assert ((aug_input.image[..., 0] > 127) != moved).mean() < 0.03, name


def test_unknown_names_and_impossible_zoom_are_refused():
    cfg = get_recseg_cfg()
    cfg.INPUT.AUGS = ["hflip", "mixup"]
    with pytest.raises(UserError, match=r"INPUT\.AUGS is 'mixup'; expected one of hflip"):
        build_augmentations(cfg)
    cfg.INPUT.AUGS, cfg.INPUT.AFFINE.ZOOM = ["affine"], (0.0, 1.0)
    with pytest.raises(UserError, match=r"INPUT\.AFFINE\.ZOOM"):
        build_augmentations(cfg)
