"""Canvases and windows to train on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recseg_d2.models.dense_attention.batch import target_batch
from recseg_d2.models.dense_attention.canvas_sampling import (
    Canvas,
    imperfect_mask,
    iou_with_object,
    random_canvas,
)
from recseg_d2.models.dense_attention.targets import object_targets
from recseg_d2.models.dense_attention.window_sampling import (
    NOTHING,
    join,
    own_windows,
    true_windows,
)

CPU = torch.device("cpu")


@pytest.fixture
def targets():
    labels = np.zeros((64, 64), int)
    labels[4:24, 4:24], labels[4:24, 24:40], labels[44:56, 44:60] = 1, 2, 3
    return object_targets(labels, np.zeros(3, int), 4)


def test_canvases_hold_what_they_call_done(targets):
    rng = np.random.default_rng(0)
    shares = []
    for _ in range(300):
        canvas = random_canvas(rng, targets, merged=0.0)
        shares.append(canvas.done.mean())
        drawn = set(np.unique(canvas.labels)) - {0}
        assert drawn <= set(np.flatnonzero(canvas.done) + 1)
        assert not canvas.unclear.any()
        for k in np.flatnonzero(canvas.done):
            part = (slice(0, 64), slice(0, 64))
            assert iou_with_object(canvas.labels == k + 1, targets, k, part) > 0.25
    shares = np.array(shares)
    assert (shares == 0).mean() > 0.15
    assert (shares == 1).mean() > 0.15
    assert 0.4 < shares.mean() < 0.6


def test_imperfect_masks_are_exact_smaller_larger_or_moved(targets):
    rng = np.random.default_rng(0)
    exact = targets.labels == 1
    kinds = {"exact": 0, "within": 0, "around": 0, "moved": 0}
    for _ in range(400):
        part, mask = imperfect_mask(rng, targets, 0)
        drawn = np.zeros_like(exact)
        drawn[part] = mask
        assert drawn.any()
        if (drawn == exact).all():
            kinds["exact"] += 1
        elif not (drawn & ~exact).any():
            kinds["within"] += 1
        elif not (exact & ~drawn).any():
            kinds["around"] += 1
        else:
            kinds["moved"] += 1
    assert kinds["exact"] / 400 == pytest.approx(0.37, abs=0.08)
    assert kinds["around"] / 400 == pytest.approx(0.2, abs=0.06)
    assert kinds["within"] > 60
    assert kinds["moved"] > 40


def test_merged_pairs_touch_and_the_larger_is_done(targets):
    rng = np.random.default_rng(0)
    merged = 0
    for _ in range(200):
        canvas = random_canvas(rng, targets, merged=1.0)
        both = (targets.labels == 1) | (targets.labels == 2)
        if (canvas.labels[both] == 1).all():
            merged += 1
            assert canvas.done[0]
            assert not canvas.done[1]
        assert not (canvas.labels[targets.labels == 3] == 1).any()
    assert merged > 80


def test_windows_around_objects_that_are_left(targets):
    batch = target_batch([targets], 8, CPU, (64, 64))
    canvas = Canvas(np.zeros((64, 64), np.int32), np.array([True, False, False]), np.zeros(3, bool))
    rng = np.random.default_rng(0)
    for _ in range(20):
        sample = true_windows(rng, batch, 0, canvas, most=5, jitter=0.05)
        assert sorted(sample.objects.tolist()) == [1, 2]
        for (x, y), box, k in zip(sample.places, sample.boxes, sample.objects, strict=True):
            assert targets.labels[int(y), int(x)] == k + 1
            assert targets.depth[int(y), int(x)] > 0.55
            assert np.abs(box - targets.boxes[k]).max() < 6
    assert len(true_windows(rng, batch, 0, canvas, most=1, jitter=0.0).objects) == 1


def own(targets, canvas, peaks, most=4):
    """The windows of an image that has another one, of other sizes and peaks, before it."""
    other = object_targets(np.full((64, 64), 1), np.zeros(1, int), 1)
    others = Canvas(np.zeros((64, 64), np.int32), np.zeros(1, bool), np.zeros(1, bool))
    batch = target_batch([other, targets], 8, CPU, (64, 64))
    heat = torch.full((2, 32, 32), 0.01)
    heat[0, 3, 5] = 0.5
    for row, column, value in peaks:
        heat[1, row, column] = value
    distances = torch.tensor([7.0, 5.0]).view(2, 1, 1, 1).expand(2, 4, 32, 32)
    first, found = own_windows(heat, distances, batch, [others, canvas], most)
    assert first.places.tolist() == [[11, 7]]
    assert first.boxes.tolist() == [[4, 0, 18, 14]]
    assert (first.images.tolist(), first.objects.tolist()) == ([0], [0])
    assert set(found.images) == {1}
    return found


def test_joined_samples_keep_their_order(targets):
    canvas = Canvas(np.zeros((64, 64), np.int32), np.zeros(3, bool), np.zeros(3, bool))
    one, two = (own(targets, canvas, [(7, x, 0.9)]) for x in (7, 16))
    both = join([one, two, one])
    assert both.places.tolist() == [[15, 15], [33, 15], [15, 15]]
    assert both.objects.tolist() == [0, 1, 0]
    assert len(both) == 3


def test_windows_at_the_models_own_maxima(targets):
    done, unclear = np.array([True, False, False]), np.array([False, False, True])
    canvas = Canvas(np.zeros((64, 64), np.int32), done, unclear)
    peaks = [(7, 7, 0.9), (7, 16, 0.8), (25, 26, 0.7), (25, 8, 0.6)]
    sample = own(targets, canvas, peaks)
    # object 0 is done, 1 is open, 2 is a matter of taste, and the last place is background
    assert sample.objects.tolist() == [NOTHING, 1, NOTHING]
    assert sample.places.tolist() == [[15, 15], [33, 15], [17, 51]]
    assert sample.boxes[1].tolist() == [28, 10, 38, 20]
    assert own(targets, canvas, peaks, most=1).objects.tolist() == [NOTHING]


def test_there_is_always_a_window(targets):
    canvas = Canvas(np.zeros((64, 64), np.int32), np.ones(3, bool), np.ones(3, bool))
    assert own(targets, canvas, [(7, 7, 0.9)]).objects.tolist() == [NOTHING]
    nothing = object_targets(np.full((64, 64), -1), np.zeros(0, int), 1)
    empty = Canvas(np.zeros((64, 64), np.int32), np.zeros(0, bool), np.zeros(0, bool))
    assert own(nothing, empty, []).objects.tolist() == [NOTHING]
