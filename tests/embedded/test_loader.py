"""Data sets, samplers, loaders, and COCO files."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pycocotools.mask as mask_util
import pytest
from detectron2.config import get_cfg
from detectron2.data import (
    DatasetCatalog,
    DatasetFromList,
    MapDataset,
    MetadataCatalog,
    build_batch_data_loader,
    build_detection_test_loader,
    build_detection_train_loader,
    get_detection_dataset_dicts,
)
from detectron2.data.datasets import convert_to_coco_json, load_coco_json, register_coco_instances
from detectron2.data.samplers import InferenceSampler, TrainingSampler
from detectron2.structures import BoxMode

NAME = "loader_test"


def make_records(count: int) -> list[dict]:
    leaf = {"bbox": [0, 0, 4, 2], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0}
    sizes = itertools.cycle([(10, 20), (20, 10)])
    return [
        {"file_name": f"{i}.png", "image_id": i, "height": h, "width": w, "annotations": [leaf]}
        for i, (h, w) in zip(range(count), sizes, strict=False)
    ]


@pytest.fixture
def dataset():
    records = make_records(6)
    records[1] = {**records[1], "annotations": []}
    records[2] = {**records[2], "annotations": [{**records[2]["annotations"][0], "iscrowd": 1}]}
    DatasetCatalog.register(NAME, lambda: records)
    MetadataCatalog.get(NAME).thing_classes = ["leaf", "stem"]
    yield records
    DatasetCatalog.remove(NAME)
    MetadataCatalog.remove(NAME)


def test_list_hands_out_copies():
    items = [{"a": [1]}, {"a": [2]}]
    dataset = DatasetFromList(items, copy=False)
    dataset[1]["a"].append(3)
    assert dataset[1] == {"a": [2]}
    assert len(dataset) == 2


def test_mapping_replaces_none():
    mapped = MapDataset([1, 2, 3], lambda x: None if x == 2 else 10 * x)
    assert [mapped[0], mapped[2]] == [10, 30]
    assert mapped[1] in (10, 30)


def test_training_sampler_goes_on_for_ever_and_by_seed():
    first = list(itertools.islice(TrainingSampler(5, seed=3), 15))
    assert [sorted(first[i : i + 5]) for i in (0, 5, 10)] == [list(range(5))] * 3
    assert first == list(itertools.islice(TrainingSampler(5, seed=3), 15))
    assert first != list(itertools.islice(TrainingSampler(5, seed=4), 15))
    assert list(itertools.islice(TrainingSampler(2, shuffle=False), 5)) == [0, 1, 0, 1, 0]
    with pytest.raises(ValueError, match="0"):
        TrainingSampler(0)
    with pytest.raises(TypeError, match="float"):
        TrainingSampler(1.5)


@pytest.mark.parametrize(("size", "world"), [(16, 5), (2, 3), (9, 3)])
def test_inference_sampler_splits_without_loss(size, world):
    shares = [InferenceSampler._get_local_indices(size, world, rank) for rank in range(world)]
    assert list(itertools.chain(*shares)) == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert list(InferenceSampler(size)) == list(range(size))


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_do_not_depend_on_workers(workers):
    loader = build_batch_data_loader(
        list(range(12)), TrainingSampler(12, seed=0), 3, num_workers=workers
    )
    found = list(itertools.islice(loader, 6))
    flat = list(itertools.islice(TrainingSampler(12, seed=0), 18))
    assert found == [flat[i : i + 3] for i in range(0, 18, 3)]


def test_batch_size_must_be_positive():
    with pytest.raises(AssertionError):
        build_batch_data_loader([1], TrainingSampler(1), 0)


@pytest.mark.parametrize("drop_last", [True, False])
def test_last_batch(drop_last):
    loader = build_batch_data_loader(list(range(7)), InferenceSampler(7), 3, drop_last=drop_last)
    expected = [[0, 1, 2], [3, 4, 5]] + ([] if drop_last else [[6]])
    assert list(loader) == expected
    assert len(loader) == len(expected)


def test_images_without_objects_are_filtered(dataset):
    assert [d["image_id"] for d in get_detection_dataset_dicts(NAME)] == [0, 3, 4, 5]
    assert len(get_detection_dataset_dicts([NAME, NAME], filter_empty=False)) == 12


def test_loaders_from_config(dataset):
    cfg = get_cfg()
    cfg.DATASETS.TRAIN, cfg.DATALOADER.NUM_WORKERS, cfg.SOLVER.IMS_PER_BATCH = (NAME,), 0, 2
    cfg.DATALOADER.ASPECT_RATIO_GROUPING = False
    train = build_detection_train_loader(cfg, mapper=lambda d: d["image_id"])
    ids = list(itertools.chain(*itertools.islice(train, 4)))
    assert sorted(ids[:4]) == [0, 3, 4, 5]
    test = build_detection_test_loader(cfg, NAME, mapper=lambda d: d["image_id"])
    assert list(test) == [[i] for i in range(6)]


def test_unknown_sampler_is_refused(dataset):
    cfg = get_cfg()
    cfg.DATASETS.TRAIN, cfg.DATALOADER.SAMPLER_TRAIN = (NAME,), "Nobody"
    with pytest.raises(ValueError, match="Nobody"):
        build_detection_train_loader(cfg, mapper=lambda d: d)


def test_loader_from_parts():
    train = build_detection_train_loader(
        make_records(4),
        mapper=lambda d: d["image_id"],
        sampler=TrainingSampler(4, shuffle=False),
        total_batch_size=3,
        aspect_ratio_grouping=False,
        collate_fn=tuple,
    )
    assert list(itertools.islice(train, 2)) == [(0, 1, 2), (3, 0, 1)]


def write_coco(path, categories, annotations) -> str:
    images = [{"id": i, "file_name": f"{i}.png", "height": 8, "width": 6} for i in (4, 2)]
    content = {"images": images, "annotations": annotations}
    content["categories"] = [{"id": i, "name": f"class {i}"} for i in categories]
    path.write_text(json.dumps(content))
    return str(path)


def make_coco_annotation(id_, **changes) -> dict:
    annotation = {"id": id_, "image_id": 2, "category_id": 9, "bbox": [1, 2, 3, 4], "area": 12}
    return {**annotation, "iscrowd": 0, **changes}


def test_coco_file_is_read(tmp_path):
    annotations = [
        make_coco_annotation(1, segmentation=[[0, 0, 1], [0, 0, 4, 0, 4, 4]]),
        make_coco_annotation(2, segmentation=[[0, 0, 1]]),
        make_coco_annotation(3, segmentation={"size": [8, 6], "counts": [0, 3, 45]}),
        make_coco_annotation(4, category_id=5),
    ]
    path = write_coco(tmp_path / "coco.json", [9, 5], annotations)
    register_coco_instances("coco_test", {}, path, "images")
    records = DatasetCatalog.get("coco_test")
    metadata = MetadataCatalog.get("coco_test")
    assert metadata.evaluator_type == "coco"
    assert metadata.thing_classes == ["class 5", "class 9"]
    assert metadata.thing_dataset_id_to_contiguous_id == {5: 0, 9: 1}
    assert [r["file_name"] for r in records] == ["images/2.png", "images/4.png"]
    assert records[1]["annotations"] == []
    polygon, rle, box = records[0]["annotations"]  # the second had no valid polygon
    assert polygon["segmentation"] == [[0, 0, 4, 0, 4, 4]]
    assert mask_util.decode(rle["segmentation"]).sum() == 3
    assert (box["category_id"], box["bbox_mode"]) == (0, BoxMode.XYWH_ABS)
    assert "segmentation" not in box
    DatasetCatalog.remove("coco_test")
    MetadataCatalog.remove("coco_test")


def test_wrong_coco_files_are_refused(tmp_path):
    path = write_coco(tmp_path / "a.json", [1], [make_coco_annotation(1)])
    with pytest.raises(KeyError, match="9"):
        load_coco_json(path, "", "coco_test_wrong")
    MetadataCatalog.remove("coco_test_wrong")
    path = write_coco(tmp_path / "b.json", [9], [make_coco_annotation(1, bbox=[])])
    with pytest.raises(ValueError, match="bbox"):
        load_coco_json(path, "")
    twice = [make_coco_annotation(1), make_coco_annotation(1)]
    with pytest.raises(AssertionError, match="unique"):
        load_coco_json(write_coco(tmp_path / "c.json", [9], twice), "")


def test_records_survive_the_way_through_coco(dataset, tmp_path):
    mask = np.zeros((10, 20), np.uint8)
    mask[2:5, 3:9] = 1
    rle = mask_util.encode(np.asfortranarray(mask))
    square = [[1.0, 1.0, 3.0, 1.0, 3.0, 3.0, 1.0, 3.0]]
    leaf = dataset[0]["annotations"][0]
    dataset[0]["annotations"] = [{**leaf, "segmentation": s} for s in (rle, square)]
    path = str(tmp_path / "deep" / "coco.json")
    convert_to_coco_json(NAME, path)
    content = json.loads(Path(path).read_text())
    assert [a["area"] for a in content["annotations"][:2]] == [18, 4]
    assert [c["name"] for c in content["categories"]] == ["leaf", "stem"]
    first = load_coco_json(path, "")[0]
    assert np.array_equal(mask_util.decode(first["annotations"][0]["segmentation"]), mask)
    assert first["annotations"][1]["segmentation"] == square
    dataset.clear()
    convert_to_coco_json(NAME, path)
    assert json.loads(Path(path).read_text()) == content  # cached
    convert_to_coco_json(NAME, path, allow_cached=False)
    assert json.loads(Path(path).read_text())["images"] == []
