from __future__ import annotations

import itertools
import pickle
import random

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.utils import comm

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.loader import (
    StreamSampler,
    build_train_loader,
    build_val_loader,
    drawn_images,
    seeded,
)
from recseg_d2.data.sources.synthetic import Rosettes
from recseg_d2.errors import UserError

SIZE = 32


@pytest.fixture
def cfg(new_name):
    cfg = get_recseg_cfg()
    name = new_name()
    Rosettes(name, 5, first_seed=50, size=SIZE).register()
    cfg.DATASETS.TRAIN = (name,)
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = (SIZE, SIZE)
    cfg.INPUT.AUGS = ["hflip", "affine", "color"]
    cfg.SOLVER.IMS_PER_BATCH = 2
    cfg.SEED = 3
    return cfg


def take(cfg, iterations, start=0):
    return list(itertools.islice(build_train_loader(cfg, start), iterations))


def same(batches, others):
    pairs = zip(itertools.chain(*batches), itertools.chain(*others), strict=True)
    return all(
        torch.equal(a["image"], b["image"])
        and torch.equal(a["instances"].gt_masks.tensor, b["instances"].gt_masks.tensor)
        for a, b in pairs
    )


def test_two_loaders_give_the_same_samples_whatever_was_drawn_before(cfg):
    first = take(cfg, 4)
    np.random.seed(9)  # noqa: NPY002
    torch.manual_seed(9)
    assert [len(batch) for batch in first] == [2, 2, 2, 2]
    assert same(first, take(cfg, 4))


def test_workers_do_not_change_the_samples(cfg):
    first = take(cfg, 4)
    cfg.DATALOADER.NUM_WORKERS = 2
    assert same(first, take(cfg, 4))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_resumed_run_sees_what_it_would_have_seen(cfg, workers):
    first = take(cfg, 7)
    cfg.DATALOADER.NUM_WORKERS = workers
    assert same(first[4:], take(cfg, 3, start=4))


def test_what_workers_get_can_be_pickled(cfg):
    """Where workers are started afresh (macOS, Windows), they get the data set this way."""
    dataset = pickle.loads(pickle.dumps(build_train_loader(cfg).dataset))
    expected = take(cfg, 1)[0][0]["image"]
    assert torch.equal(next(iter(dataset))["image"], expected)


def test_another_seed_gives_other_samples_and_a_negative_one_counts_as_0(cfg):
    first = take(cfg, 3)
    cfg.SEED = 0
    zero = take(cfg, 3)
    assert not same(first, zero)
    cfg.SEED = -1
    assert same(zero, take(cfg, 3))


def test_an_image_is_augmented_anew_in_each_epoch(cfg):
    samples = list(itertools.chain(*take(cfg, 10)))
    by_image: dict[int, list[torch.Tensor]] = {}
    for sample in samples:
        by_image.setdefault(sample["image_id"], []).append(sample["image"])
    assert len(by_image) == 5
    assert all(not torch.equal(images[0], images[1]) for images in by_image.values())


def test_loading_leaves_the_global_generators_alone(cfg):
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    expected = random.random(), np.random.rand(), torch.rand(1)  # noqa: NPY002
    random.seed(1), np.random.seed(1), torch.manual_seed(1)  # noqa: NPY002
    loader = iter(build_train_loader(cfg).dataset)
    next(loader)
    assert (random.random(), np.random.rand(), torch.rand(1)) == expected  # noqa: NPY002


def test_seeded_fixes_all_generators_and_restores_them_after_an_error():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()  # noqa: NPY002

    with seeded(1, 2):
        first = draw()
    with seeded(1, 3):
        assert draw() != first
    random.seed(5)
    expected = random.random()
    random.seed(5)
    with seeded(1, 2):
        assert draw() == first
    with pytest.raises(ZeroDivisionError), seeded(1, 2):
        draw()[0] / 0
    assert random.random() == expected


def test_each_epoch_has_every_image_once_in_another_order():
    keys = list(itertools.islice(StreamSampler(6, seed=0), 18))
    assert [position for position, _ in keys] == list(range(18))
    epochs = [[index for _, index in keys[start : start + 6]] for start in (0, 6, 12)]
    assert all(sorted(epoch) == list(range(6)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 3


def test_processes_share_the_stream(monkeypatch):
    whole = list(itertools.islice(StreamSampler(5, seed=2, start=4), 12))
    shares = []
    for rank in range(2):
        monkeypatch.setattr(comm, "get_world_size", lambda: 2)
        monkeypatch.setattr(comm, "get_rank", lambda rank=rank: rank)
        shares.append(list(itertools.islice(StreamSampler(5, seed=2, start=4), 6)))
    assert [key for pair in zip(*shares, strict=True) for key in pair] == whole


def test_validation_is_one_pass_in_order_without_augmentation(cfg):
    loader = build_val_loader(cfg, cfg.DATASETS.TRAIN[0])
    batches = list(loader)
    assert [len(batch) for batch in batches] == [1, 1, 1, 1, 1]
    assert [s["image_id"] for batch in batches for s in batch] == [50, 51, 52, 53, 54]
    assert same(batches, list(loader))
    records = DatasetCatalog.get(cfg.DATASETS.TRAIN[0])
    assert len(batches[0][0]["instances"]) == len(records[0]["annotations"])


def test_images_without_objects_are_for_validation_and_if_wanted_for_training(cfg, new_name):
    name = new_name()
    records = DatasetCatalog.get(cfg.DATASETS.TRAIN[0])[:2]
    records[0]["annotations"] = []
    DatasetCatalog.register(name, lambda: records)
    MetadataCatalog.get(name).set(thing_classes=["leaf"])
    cfg.DATASETS.TRAIN = (name,)
    assert len(list(build_val_loader(cfg, name))) == 2
    assert {s["image_id"] for batch in take(cfg, 3) for s in batch} == {51}
    cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS = False
    assert {s["image_id"] for batch in take(cfg, 3) for s in batch} == {50, 51}


def test_bad_data_and_other_samplers_are_refused_before_the_first_sample(cfg, new_name):
    name = new_name()
    records = DatasetCatalog.get(cfg.DATASETS.TRAIN[0])
    records[3]["annotations"][0]["category_id"] = 7
    DatasetCatalog.register(name, lambda: records)
    MetadataCatalog.get(name).set(thing_classes=["leaf"] * 8)
    with pytest.raises(UserError, match="category_id 7"):
        build_val_loader(cfg, name)
    cfg.DATALOADER.SAMPLER_TRAIN = "RepeatFactorTrainingSampler"
    with pytest.raises(UserError, match=r"DATALOADER\.SAMPLER_TRAIN: found 'RepeatFactor"):
        build_train_loader(cfg)


@pytest.mark.parametrize("filter_empty", [True, False])
def test_nothing_to_train_on_and_unknown_names_are_refused(cfg, new_name, filter_empty):
    name = new_name()
    record = {"file_name": "synthetic://rosettes/32/1.png", "annotations": []}
    DatasetCatalog.register(name, lambda: [record] if filter_empty else [])
    cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS = filter_empty
    cfg.DATASETS.TRAIN = (name,)
    with pytest.raises(UserError, match=f"^{name}: .*see what `recseg check-dataset`"):
        build_train_loader(cfg)
    with pytest.raises(UserError, match=r"found 'tulips', expected a registered data set: .*synth"):
        build_val_loader(cfg, "tulips")


def test_images_are_drawn_by_their_weights():
    rng = np.random.default_rng(0)
    counts = [np.bincount(drawn_images(6, [1, 2, 3], rng), minlength=3) for _ in range(200)]
    assert all(count.tolist() == [1, 2, 3] for count in counts)
    counts = [np.bincount(drawn_images(4, [1, 2, 3], rng), minlength=3) for _ in range(2000)]
    assert {count.sum() for count in counts} == {4}
    assert np.abs(np.diff([(c.min(), c.max()) for c in np.transpose(counts)])).max() == 1
    assert np.mean(counts, axis=0) == pytest.approx([4 / 6, 8 / 6, 12 / 6], abs=0.04)


def test_without_weights_each_image_comes_once():
    assert drawn_images(5, None, np.random.default_rng(0)).tolist() == [0, 1, 2, 3, 4]


def test_a_stream_with_weights_is_the_same_from_any_position_on():
    weights = [0.1, 1.0, 0.4]
    whole = list(itertools.islice(StreamSampler(3, 7, weights=weights), 30))
    later = list(itertools.islice(StreamSampler(3, 7, start=10, weights=weights), 20))
    assert whole[10:] == later
    assert [position for position, _ in whole] == list(range(30))
    assert np.bincount([image for _, image in whole]).argmax() == 1


def test_images_without_a_weight_have_the_mean(cfg):
    batches = itertools.islice(build_train_loader(cfg, 0, {0: 1.0, 1: 3.0}), 250)
    numbers = np.bincount([x["image_number"] for batch in batches for x in batch], minlength=5)
    assert numbers / numbers.sum() == pytest.approx([0.1, 0.3, 0.2, 0.2, 0.2], abs=0.02)


def test_samples_say_where_they_are_in_the_stream(cfg):
    positions = [x["stream_position"] for batch in take(cfg, 2, start=3) for x in batch]
    assert positions == [6, 7, 8, 9]
