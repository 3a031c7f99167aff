from __future__ import annotations

import numpy as np
from scipy import ndimage

from recseg_d2.config.options import SimilarityCropOptions
from recseg_d2.data.augmentations.geometry import RandomSimilarityCrop


def crops(options, image, labels, count=60):
    np.random.seed(0)  # noqa: NPY002
    augmentation = RandomSimilarityCrop(options)
    for _ in range(count):
        yield augmentation.get_transform(image, labels)


def test_image_and_labels_move_alike_and_shapes_stay_similar():
    labels = np.zeros((120, 160), np.uint8)
    labels[40:80, 50:90] = 1
    image = np.repeat(labels[..., None] * 1.0, 2, axis=2).astype(np.float32)
    options = SimilarityCropOptions(size=64, log_scale=0.3)
    scales = []
    for transform in crops(options, image, labels):
        moved, cut = transform.apply_image(image), transform.apply_segmentation(labels)
        assert moved.shape == (64, 64, 2)
        assert cut.shape == (64, 64)
        assert ((moved[..., 0] > 0.5) != (cut == 1)).mean() < 0.05
        singular = np.linalg.svd(transform.linear)[1]
        np.testing.assert_allclose(singular[0], singular[1])
        scales.append(singular[0])
    assert np.abs(np.log(scales)).max() <= 0.3 + 1e-9
    assert np.ptp(np.log(scales)) > 0.3
    assert {np.sign(np.linalg.det(t.linear)) for t in crops(options, image, labels)} == {-1.0, 1.0}


def test_small_objects_are_met_more_often_than_by_chance():
    labels = np.zeros((400, 400), np.uint8)
    labels[10:14, 380:384] = 1
    image = np.zeros((400, 400, 1), np.float32)
    options = SimilarityCropOptions(size=64, log_scale=0.0, rotation=0.0)
    met = np.mean([t.apply_segmentation(labels).any() for t in crops(options, image, labels, 200)])
    alone = np.mean([t.apply_segmentation(labels).any() for t in crops(options, image, None, 200)])
    assert met > 0.35
    assert alone < 0.15


def test_crops_stay_in_images_that_are_large_enough():
    inside = np.ones((200, 300), np.uint8)
    options = SimilarityCropOptions(size=64, log_scale=0.0, rotation=0.0)
    for transform in crops(options, inside[..., None], inside):
        assert transform.apply_segmentation(inside).all()


def test_images_smaller_than_a_crop_are_seen_whole():
    inside = np.ones((20, 30), np.uint8)
    options = SimilarityCropOptions(size=64, log_scale=0.0, rotation=14.0)
    for transform in crops(options, inside[..., None], None, 20):
        cut = transform.apply_segmentation(inside)
        assert abs(int(cut.sum()) - inside.size) < 30
        assert ndimage.label(cut)[1] == 1


def test_upright_crops_keep_up_above_and_mirror_left_and_right():
    options = SimilarityCropOptions(size=16, log_scale=0.2, rotation=5.0, upright=True)
    images = np.zeros((32, 32, 1), np.float32)
    found = [t.linear / abs(np.linalg.det(t.linear)) ** 0.5 for t in crops(options, images, None)]
    assert all(linear[1, 1] > np.cos(np.radians(5.1)) for linear in found)
    assert {np.sign(linear[0, 0]) for linear in found} == {-1.0, 1.0}
