from __future__ import annotations

import numpy as np
import pytest
import torch
from detectron2.structures import BitMasks, Boxes
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2 import rle
from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.loader import seeded
from recseg_d2.data.mapper import InstanceMapper
from recseg_d2.errors import UserError

HEIGHT, WIDTH = 24, 32


@pytest.fixture
def cfg():
    cfg = get_recseg_cfg()
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (HEIGHT, WIDTH)
    cfg.INPUT.AUGS = []
    return cfg


@pytest.fixture
def labels() -> np.ndarray:
    labels = np.zeros((HEIGHT, WIDTH), np.int32)
    labels[2:10, 3:9] = 1  # 48 pixels
    labels[5:20, 12:16] = 2  # 60
    labels[20, 30] = 3  # 1
    return labels


@pytest.fixture
def record(tmp_path, labels) -> dict:
    image = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    return {
        "file_name": str(tmp_path / "a.png"),
        "height": HEIGHT,
        "width": WIDTH,
        "image_id": 5,
        "annotations": label_map_to_annotations(labels),
    }


def test_image_and_instances_at_the_same_size_are_the_files(cfg, record, labels):
    result = InstanceMapper(cfg)(record)
    bgr = np.asarray(Image.open(record["file_name"]))[..., ::-1]
    assert result["image"].dtype == torch.uint8
    np.testing.assert_array_equal(result["image"].permute(1, 2, 0), bgr)
    instances = result["instances"]
    assert instances.image_size == (HEIGHT, WIDTH)
    assert isinstance(instances.gt_masks, BitMasks)
    assert isinstance(instances.gt_boxes, Boxes)
    for n in range(3):
        np.testing.assert_array_equal(instances.gt_masks.tensor[n], labels == n + 1)
    assert instances.gt_boxes.tensor.tolist() == [[3, 2, 9, 10], [12, 5, 16, 20], [30, 20, 31, 21]]
    assert instances.gt_classes.tolist() == [0, 0, 0]
    assert instances.gt_classes.dtype == torch.int64
    assert (result["height"], result["width"], result["image_id"]) == (HEIGHT, WIDTH, 5)
    assert "annotations" not in result


def test_the_dict_stays_as_it_is(cfg, record):
    before = repr(record)
    cfg.INPUT.AUGS = ["hflip", "affine"]
    InstanceMapper(cfg)(record)
    assert repr(record) == before


def test_resize_keeps_the_original_size_in_the_dict(cfg, record):
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (48, 16)
    result = InstanceMapper(cfg)(record)
    assert result["image"].shape == (3, 48, 16)
    assert result["instances"].image_size == (48, 16)
    assert result["instances"].gt_boxes.tensor[1].tolist() == [6, 10, 8, 40]
    assert (result["height"], result["width"]) == (HEIGHT, WIDTH)


def test_rgb_images_where_the_config_says_so(cfg, record):
    cfg.INPUT.FORMAT = "RGB"
    rgb = np.asarray(Image.open(record["file_name"]))
    np.testing.assert_array_equal(InstanceMapper(cfg)(record)["image"].permute(1, 2, 0), rgb)


@pytest.mark.parametrize("shape", [(HEIGHT, WIDTH), (HEIGHT, WIDTH, 4)])
def test_grey_and_four_channel_images_become_three_channels(cfg, record, shape):
    Image.fromarray(np.full(shape, 100, np.uint8)).save(record["file_name"])
    image = InstanceMapper(cfg)(record)["image"]
    assert image.shape == (3, HEIGHT, WIDTH)
    assert (image == 100).all()


def test_polygons_rles_and_arrays_give_the_same_instances(cfg, record, labels):
    mask = (labels == 1).astype(np.uint8)
    forms = [
        mask,
        coco_mask.encode(np.asfortranarray(mask)),
        [[3.0, 2.0, 9.0, 2.0, 9.0, 10.0, 3.0, 10.0]],
    ]
    annotation = record["annotations"][0]
    record["annotations"] = [{**annotation, "segmentation": form} for form in forms]
    masks = InstanceMapper(cfg)(record)["instances"].gt_masks.tensor
    assert len(masks) == 3  # they overlap completely, and still all stay
    for n in range(3):
        np.testing.assert_array_equal(masks[n], mask)


def test_overlapping_masks_move_as_they_would_alone(cfg, record):
    cfg.INPUT.AUGS = ["affine", "hflip"]
    masks = np.random.default_rng(1).random((5, HEIGHT, WIDTH)) < 0.5
    template = record["annotations"][0]
    records = [{**template, "segmentation": m} for m in masks]
    mapper = InstanceMapper(cfg)
    with seeded(4):
        together = mapper({**record, "annotations": records})["instances"].gt_masks.tensor
    for n, alone in enumerate(records):
        with seeded(4):
            moved = mapper({**record, "annotations": [alone]})["instances"].gt_masks.tensor
        assert torch.equal(moved[0], together[n])


def test_boxes_are_tight_around_the_moved_masks(cfg, record):
    cfg.INPUT.AUGS = ["affine"]
    cfg.INPUT.AFFINE.ROTATION = 45.0
    for seed in range(5):
        with seeded(seed):
            instances = InstanceMapper(cfg)(record)["instances"]
        for mask, box in zip(instances.gt_masks.tensor, instances.gt_boxes.tensor, strict=True):
            y, x = np.nonzero(mask.numpy())
            assert box.tolist() == [x.min(), y.min(), x.max() + 1, y.max() + 1]


def test_crowds_and_objects_out_of_the_frame_are_left_out(cfg, record):
    record["annotations"][1]["iscrowd"] = 1
    assert len(InstanceMapper(cfg)(record)["instances"]) == 2
    cfg.INPUT.AUGS = ["affine"]
    cfg.INPUT.AFFINE.ZOOM = (3.9, 4.0)  # only the middle stays
    record["annotations"][1]["iscrowd"] = 0
    with seeded(0):
        instances = InstanceMapper(cfg)(record)["instances"]
    assert len(instances) == 1
    assert (instances.gt_masks.tensor.sum(dim=(1, 2)) > 0).all()


def test_no_object_gives_empty_instances(cfg, record):
    bare = {k: v for k, v in record.items() if k != "annotations"}
    for empty in (bare, {**bare, "annotations": []}):
        instances = InstanceMapper(cfg)(empty)["instances"]
        assert len(instances) == 0
        assert instances.gt_masks.tensor.shape == (0, HEIGHT, WIDTH)
        assert instances.gt_boxes.tensor.shape == (0, 4)
        assert instances.gt_classes.shape == (0,)


def test_of_too_many_objects_the_largest_stay_in_order(cfg, record):
    cfg.MODEL.SEQUENTIAL.STEPS = 2
    record["annotations"] = record["annotations"][::-1]  # 1, 60 and 48 pixels
    areas = InstanceMapper(cfg)(record)["instances"].gt_masks.tensor.sum(dim=(1, 2))
    assert areas.tolist() == [60, 48]


def test_classes_stay_with_their_objects(cfg, record):
    cfg.MODEL.NUM_CLASSES = 3
    cfg.MODEL.SEQUENTIAL.STEPS = 2
    for category, annotation in enumerate(record["annotations"]):
        annotation["category_id"] = category
    record["annotations"] = record["annotations"][::-1]
    assert InstanceMapper(cfg)(record)["instances"].gt_classes.tolist() == [1, 0]


def test_augmentation_is_for_training_only(cfg, record):
    cfg.INPUT.AUGS = ["affine", "color"]
    plain = InstanceMapper(cfg, is_train=False)(record)
    cfg.INPUT.AUGS = []
    expected = InstanceMapper(cfg)(record)
    assert torch.equal(plain["image"], expected["image"])
    assert len(plain["instances"]) == 3
    assert "instances" not in InstanceMapper(cfg, is_train=False, with_annotations=False)(record)


def test_bad_input_is_refused_by_name(cfg, record, tmp_path):
    mapper = InstanceMapper(cfg)
    with pytest.raises(UserError, match=r"a\.png: found an image of 32x24.*expected the 99x24"):
        mapper({**record, "width": 99})
    with pytest.raises(UserError, match=r"gone\.png: no such file"):
        mapper({**record, "file_name": str(tmp_path / "gone.png")})
    record["annotations"][0]["category_id"] = 1
    with pytest.raises(UserError, match=r"a\.png: found category_id 1, expected 0 to 0"):
        mapper(record)
    whole = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"a\.png: cannot be read"):
        mapper(record)


def test_any_size_by_the_shortest_edge(cfg, record):
    """Images keep their proportions, and all objects stay."""
    cfg.INPUT.RESIZE = "shortest_edge"
    cfg.INPUT.AUGS = []
    cfg.MODEL.SEQUENTIAL.STEPS = 1
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MAX_SIZE_TRAIN = (2 * min(HEIGHT, WIDTH),), 1000
    result = InstanceMapper(cfg)(record)
    assert tuple(result["image"].shape) == (3, 2 * HEIGHT, 2 * WIDTH)
    assert result["instances"].image_size == (2 * HEIGHT, 2 * WIDTH)
    assert len(result["instances"]) == len(InstanceMapper(cfg, is_train=False)(record)["instances"])
    untouched = InstanceMapper(cfg, is_train=False)(record)
    assert tuple(untouched["image"].shape) == (3, HEIGHT, WIDTH)


def test_the_scale_jitter_draws_from_the_sizes(cfg, record):
    cfg.INPUT.RESIZE = "shortest_edge"
    cfg.INPUT.MIN_SIZE_TRAIN = (16, 24, 32)
    mapper = InstanceMapper(cfg)
    assert {min(mapper(record)["image"].shape[1:]) for _ in range(30)} == {16, 24, 32}


def test_zeros_around_the_image_shift_it_by_whole_pixels_in_training(cfg, record, labels):
    cfg.INPUT.PAD_CROP = 5
    bgr = np.asarray(Image.open(record["file_name"]))[..., ::-1]
    mapper, shifts = InstanceMapper(cfg), set()
    for seed in range(60):
        with seeded(seed):
            result = mapper(record)
        image = result["image"].permute(1, 2, 0).numpy()
        assert image.shape == bgr.shape
        mask = result["instances"].gt_masks.tensor[1].numpy()  # 4 pixels wide, always in the frame
        y, x = (int(v.min()) - first for v, first in zip(np.nonzero(mask), (5, 12), strict=True))
        shifts.add((y, x))
        expected = np.pad(bgr, ((5, 5), (5, 5), (0, 0)))[5 - y :, 5 - x :][:HEIGHT, :WIDTH]
        np.testing.assert_array_equal(image, expected)
    for axis in (0, 1):
        assert {shift[axis] for shift in shifts} == set(range(-4, 6))
    result = InstanceMapper(cfg, is_train=False)(record)
    np.testing.assert_array_equal(result["image"].permute(1, 2, 0), bgr)


def test_relative_sizes_are_shares_of_the_images_own(cfg, record):
    cfg.INPUT.RESIZE, cfg.INPUT.RELATIVE_SIZES = "scale", (0.25, 0.5, 1.0, 2.0)
    mapper = InstanceMapper(cfg)
    sizes = {tuple(mapper(record)["image"].shape[1:]) for _ in range(60)}
    assert sizes == {(6, 8), (12, 16), (24, 32), (48, 64)}
    result = mapper(record)
    assert result["instances"].image_size == tuple(result["image"].shape[1:])
    assert InstanceMapper(cfg, is_train=False)(record)["image"].shape == (3, HEIGHT, WIDTH)


@pytest.mark.parametrize("most", [0, 1, 2])
def test_objects_that_are_kept_may_be_fewer_than_steps(cfg, record, most):
    cfg.MODEL.SEQUENTIAL.STEPS, cfg.MODEL.SEQUENTIAL.MAX_OBJECTS = 3, most
    areas = InstanceMapper(cfg)(record)["instances"].gt_masks.tensor.sum((1, 2)).tolist()
    assert areas == {0: [48, 60, 1], 1: [60], 2: [48, 60]}[most]


def test_an_unknown_resize_is_refused(cfg):
    cfg.INPUT.RESIZE = "stretch"
    with pytest.raises(UserError, match=r"INPUT\.RESIZE is 'stretch'; expected one of working"):
        InstanceMapper(cfg)


@pytest.mark.parametrize("with_objects", [True, False])
def test_ignored_pixels_move_with_the_image(cfg, record, labels, with_objects):
    unknown = np.zeros(labels.shape, bool)
    unknown[:, 20:] = True
    record["ignored"] = rle.encode(unknown)
    if not with_objects:
        record["annotations"] = []
    mapped = InstanceMapper(cfg)(record)
    assert mapped["ignored"].dtype == torch.bool
    np.testing.assert_array_equal(mapped["ignored"], unknown)
    assert "ignored" not in InstanceMapper(cfg, with_annotations=False)(record)
    cfg.INPUT.AUGS = ["hflip"]
    flipped = []
    for seed in range(6):
        with seeded(seed):
            mapped = InstanceMapper(cfg)(record)
        image = np.asarray(Image.open(record["file_name"]))[..., ::-1]
        moved = not (mapped["image"].numpy() == image.transpose(2, 0, 1)).all()
        expected = unknown[:, ::-1] if moved else unknown
        np.testing.assert_array_equal(mapped["ignored"], expected)
        flipped.append(moved)
    assert len(set(flipped)) == 2
