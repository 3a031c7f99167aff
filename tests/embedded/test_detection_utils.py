"""Reading of images, and annotations to Instances."""

from __future__ import annotations

import numpy as np
import pycocotools.mask as mask_util
import pytest
import torch
from detectron2.config import get_cfg
from detectron2.data import DatasetMapper, MetadataCatalog
from detectron2.data import detection_utils as utils
from detectron2.data import transforms as T
from detectron2.structures import BitMasks, BoxMode, PolygonMasks
from PIL import Image

RGB = np.array([[[10, 20, 30], [40, 50, 60]], [[1, 2, 3], [255, 0, 128]]], np.uint8)
ORIENTATION_TAG = 274


@pytest.fixture
def image_file(tmp_path):
    path = tmp_path / "image.png"
    Image.fromarray(RGB).save(path)
    return str(path)


def make_rle(mask: np.ndarray) -> dict:
    return mask_util.encode(np.asfortranarray(mask, dtype=np.uint8))


def make_annotation(**changes) -> dict:
    annotation = {"bbox": [1, 2, 3, 4], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 1}
    return {**annotation, **changes}


def test_formats(image_file):
    assert np.array_equal(utils.read_image(image_file), RGB)
    assert np.array_equal(utils.read_image(image_file, "RGB"), RGB)
    assert np.array_equal(utils.read_image(image_file, "BGR"), RGB[:, :, ::-1])
    assert utils.read_image(image_file, "L").shape == (2, 2, 1)


def test_exif_orientation_is_applied(tmp_path):
    path = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[ORIENTATION_TAG] = 6  # the camera was turned: rotate by 270 degrees
    Image.new("RGB", (30, 20)).save(path, exif=exif)
    assert utils.read_image(str(path), "RGB").shape == (30, 20, 3)


def test_image_size_is_filled_in_or_compared():
    record: dict = {"file_name": "x.png"}
    utils.check_image_size(record, RGB)
    assert (record["height"], record["width"]) == (2, 2)
    with pytest.raises(utils.SizeMismatchError, match=r"x\.png"):
        utils.check_image_size({"file_name": "x.png", "height": 3, "width": 2}, RGB)


def test_box_and_polygon_are_flipped_and_clipped():
    annotation = make_annotation(bbox=[-2, 2, 6, 4], segmentation=[[0, 0, 2, 0, 2, 3]])
    flipped = utils.transform_instance_annotations(annotation, [T.HFlipTransform(10)], (8, 10))
    assert flipped["bbox"].tolist() == [6, 2, 10, 6]
    assert flipped["bbox_mode"] == BoxMode.XYXY_ABS
    assert sorted(map(tuple, flipped["segmentation"][0].reshape(-1, 2))) == [
        (8, 0),
        (8, 3),
        (10, 0),
    ]


def test_rle_becomes_a_transformed_mask():
    mask = np.zeros((4, 6), np.uint8)
    mask[1, :2] = 1
    annotation = make_annotation(segmentation=make_rle(mask))
    moved = utils.transform_instance_annotations(annotation, [T.HFlipTransform(6)], (4, 6))
    assert np.array_equal(moved["segmentation"], mask[:, ::-1])


def test_unknown_segmentation_is_refused():
    with pytest.raises(ValueError, match="segmentation"):
        utils.transform_instance_annotations(make_annotation(segmentation=3), [], (4, 4))
    with pytest.raises(ValueError, match="BitMasks"):
        utils.annotations_to_instances([make_annotation(segmentation=3)], (4, 4), "bitmask")


def test_instances_of_every_kind_of_mask():
    mask = np.zeros((8, 8), np.uint8)
    mask[2:6, 1:4] = 1
    polygon = [[1.0, 2.0, 4.0, 2.0, 4.0, 6.0, 1.0, 6.0]]
    annotations = [make_annotation(segmentation=s) for s in (mask, make_rle(mask), polygon)]
    instances = utils.annotations_to_instances(annotations, (8, 8), "bitmask")
    assert isinstance(instances.gt_masks, BitMasks)
    assert all(np.array_equal(m, mask) for m in instances.gt_masks.tensor.numpy())
    assert instances.gt_boxes.tensor.tolist() == [[1, 2, 4, 6]] * 3
    assert instances.gt_classes.tolist() == [1, 1, 1]
    polygons = utils.annotations_to_instances(annotations[2:], (8, 8), "polygon")
    assert isinstance(polygons.gt_masks, PolygonMasks)


def test_polygons_are_not_made_of_masks():
    with pytest.raises(ValueError, match="polygon"):
        utils.annotations_to_instances(
            [make_annotation(segmentation=np.zeros((4, 4), np.uint8))], (4, 4), "polygon"
        )


def test_no_annotations():
    instances = utils.annotations_to_instances([], (8, 8), "bitmask")
    assert len(instances) == 0
    assert instances.gt_boxes.tensor.shape == (0, 4)
    assert not instances.has("gt_masks")


def test_empty_objects_are_filtered():
    empty, one_pixel = np.zeros((2, 8, 8), np.uint8)
    one_pixel[3, 3] = 1
    annotations = [
        make_annotation(segmentation=one_pixel),
        make_annotation(segmentation=empty),
        make_annotation(segmentation=one_pixel, bbox=[1, 1, 0, 4]),
    ]
    instances = utils.annotations_to_instances(annotations, (8, 8), "bitmask")
    assert len(utils.filter_empty_instances(instances)) == 1
    assert len(utils.filter_empty_instances(instances, by_mask=False)) == 2


def test_metadata_must_agree():
    names = [f"consistency_test_{i}" for i in range(3)]
    for name, classes in zip(names, (["a"], ["a"], ["b"]), strict=True):
        MetadataCatalog.get(name).thing_classes = classes
    utils.check_metadata_consistency("thing_classes", names[:2])
    with pytest.raises(ValueError, match="thing_classes"):
        utils.check_metadata_consistency("thing_classes", names)
    for name in names:
        MetadataCatalog.remove(name)


def make_mapper_cfg(**changes):
    cfg = get_cfg()
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.MIN_SIZE_TEST = (8,), 4
    cfg.INPUT.RANDOM_FLIP, cfg.INPUT.MASK_FORMAT, cfg.MODEL.MASK_ON = "none", "bitmask", True
    cfg.INPUT.FORMAT = "RGB"
    cfg.merge_from_list([item for pair in changes.items() for item in pair])
    return cfg


def make_record(image_file) -> dict:
    mask = make_rle(np.array([[1, 0], [1, 0]]))
    good = make_annotation(bbox=[0, 0, 1, 2], segmentation=mask)
    return {"file_name": image_file, "annotations": [good, {**good, "iscrowd": 1}]}


def test_mapper_in_training(image_file):
    record = make_record(image_file)
    out = DatasetMapper(make_mapper_cfg(), True)(record)
    assert out["image"].shape == (3, 8, 8)
    assert out["image"].dtype == torch.uint8
    assert (out["height"], out["width"]) == (2, 2)
    assert "annotations" not in out
    assert len(record["annotations"]) == 2  # untouched
    assert out["instances"].gt_boxes.tensor.tolist() == [[0, 0, 4, 8]]
    assert out["instances"].gt_masks.tensor[0].sum() == 4 * 8


def test_mapper_at_test_time(image_file):
    out = DatasetMapper(make_mapper_cfg(), is_train=False)(make_record(image_file))
    assert out["image"].shape == (3, 4, 4)
    assert not {"annotations", "instances"} & out.keys()


def test_mapper_without_masks(image_file):
    cfg = make_mapper_cfg()
    cfg.MODEL.MASK_ON = False
    assert not DatasetMapper(cfg, True)(make_record(image_file))["instances"].has("gt_masks")


def test_mapper_takes_boxes_from_cropped_masks(image_file):
    record = make_record(image_file)
    record["annotations"][0]["bbox"] = [0, 0, 2, 2]
    mapper = DatasetMapper(
        is_train=True,
        augmentations=[T.CropTransform(0, 1, 2, 1)],
        image_format="RGB",
        use_instance_mask=True,
        instance_mask_format="bitmask",
        recompute_boxes=True,
    )
    assert mapper(record)["instances"].gt_boxes.tensor.tolist() == [[0, 0, 1, 1]]
