from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from recseg_d2.config import load_config
from recseg_d2.data.facts import DataFacts
from recseg_d2.engine.plan import CONFIG, plan_training


def facts(
    diameter=20.0, images=100, side=256, channels=3, spread=1.0, backgrounds=(0.1, 0.9)
) -> DataFacts:
    diameters = diameter * np.geomspace(1 / spread, spread, 101)
    return DataFacts(
        images=images,
        looked_at=10,
        sizes=np.full((10, 2), side),
        channels=Counter({channels: 10}),
        types=Counter({"uint16": 10}),
        counts=np.full(images, 12),
        diameters=diameters,
        longest=diameters * 1.2,
        backgrounds=np.linspace(*backgrounds, 10),
    )


def planned(*args, classes=("object",), **kwargs):
    plan = plan_training(facts(*args, **kwargs), classes)
    return load_config(CONFIG, ["MODEL.DEVICE", "cpu", *plan.options()]), plan


@pytest.mark.parametrize(
    ("diameter", "scale"), [(20, 1.0), (13, 1.0), (31, 1.0), (100, 0.2), (6, 3.3), (3, 4.0)]
)
def test_objects_far_from_the_trained_size_are_brought_to_it(diameter, scale):
    cfg, plan = planned(diameter)
    assert pytest.approx(scale) == cfg.INPUT.SCALE
    assert f"INPUT.SCALE {cfg.INPUT.SCALE}" in str(plan)


def test_small_objects_among_large_ones_are_not_lost():
    alone, _ = planned(100.0)
    mixed, _ = planned(100.0, spread=8.0)
    assert mixed.INPUT.SCALE > alone.INPUT.SCALE


@pytest.mark.parametrize(
    ("diameter", "side", "crop", "batch"), [(20, 256, 128, 4), (31, 2048, 128, 4), (20, 90, 96, 7)]
)
def test_crops_hold_large_objects_and_a_step_as_many_pixels(diameter, side, crop, batch):
    cfg, _ = planned(diameter, side=side)
    assert crop == cfg.INPUT.SIMILARITY_CROP.SIZE
    assert batch == cfg.SOLVER.IMS_PER_BATCH


@pytest.mark.parametrize(
    ("channels", "expected", "joint"), [(1, 3, True), (3, 3, True), (5, 5, False)]
)
def test_channels(channels, expected, joint):
    cfg, _ = planned(channels=channels)
    assert len(cfg.MODEL.PIXEL_MEAN) == len(cfg.MODEL.PIXEL_STD) == expected
    assert cfg.INPUT.INTENSITY.JOINT is joint


def test_images_of_one_kind_change_less():
    alike, plan = planned(backgrounds=(0.2, 0.35))
    jitter = alike.INPUT.INTENSITY_JITTER
    assert (jitter.INVERT, jitter.STRENGTH) == (0.0, 0.5)
    assert alike.INPUT.SIMILARITY_CROP.LOG_SCALE == 0.25
    assert "one kind of images, with backgrounds at 0.21 to 0.34 of the range" in str(plan)
    mixed, plan = planned(backgrounds=(0.0, 0.9))
    assert mixed.INPUT.INTENSITY_JITTER.INVERT == 0.15
    assert mixed.INPUT.INTENSITY_JITTER.STRENGTH == 1.0
    assert mixed.INPUT.SIMILARITY_CROP.LOG_SCALE == 0.4
    assert "several kinds of images" in str(plan)


def test_of_few_images_nobody_knows_the_kinds():
    few = replace(facts(backgrounds=(0.2, 0.2)), backgrounds=np.array([0.2] * 9 + [np.nan]))
    plan = plan_training(few, ("object",))
    values = {d.key: d.value for d in plan.decisions}
    assert values["INPUT.INTENSITY_JITTER.INVERT"] == 0.15
    assert values["INPUT.INTENSITY_JITTER.STRENGTH"] == 1.0


def test_few_images_train_for_less_long_and_from_weights_for_a_third():
    lengths = [planned(images=n)[0].SOLVER.MAX_ITER for n in (5, 100, 1000)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[2]
    plan = plan_training(facts(), ("object",))
    again = plan.going_on()
    values = {d.key: d.value for d in again.decisions}
    before = {d.key: d.value for d in plan.decisions}
    assert values["SOLVER.MAX_ITER"] == before["SOLVER.MAX_ITER"] // 3
    assert load_config(CONFIG, again.options()).SOLVER.MATRIX_LR < 0.02


def test_classes_and_the_summary_for_the_user():
    cfg, plan = planned(classes=("a", "b", "c", "d", "e", "f"))
    assert cfg.MODEL.NUM_CLASSES == 6
    text = str(plan)
    assert text.startswith("100 images (10 looked at) of 256x256 pixels, uint16; 12 objects")
    assert "a, b, c, d, e, ..." in text
    assert 8 <= len(text.splitlines()) <= 12
