"""The loss terms against literal loops in float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from recseg_d2.models.dense_attention import losses
from recseg_d2.models.dense_attention.batch import object_table, target_batch
from recseg_d2.models.dense_attention.targets import object_targets

BINS, CPU = 8, torch.device("cpu")


@pytest.fixture
def batch():
    """Two images: two objects that touch and an ignored corner; one object."""
    first = np.zeros((16, 24), int)
    first[2:10, 2:9], first[4:14, 9:20], first[12:, :4] = 1, 2, -1
    second = np.zeros((16, 24), int)
    second[5:15, 3:12] = 1
    targets = [object_targets(labels, np.zeros(2, int), 4) for labels in (first, second)]
    return target_batch(targets, BINS, CPU, (16, 24))


def logits(*shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)


def entropy(logit, target):
    p = 1 / (1 + math.exp(-logit))
    return -target * math.log(p) - (1 - target) * math.log(1 - p)


def cells(batch):
    """Label, depth, foreground and whether it is known of each cell, read off the pixels."""
    for b, objects in enumerate(batch.objects):
        for y in range(8):
            for x in range(12):
                part = slice(2 * y, 2 * y + 2), slice(2 * x, 2 * x + 2)
                labels, depth = objects.labels[part].ravel(), objects.depth[part].ravel()
                deepest = int(depth.argmax())
                yield (
                    b,
                    y,
                    x,
                    labels[deepest],
                    depth[deepest],
                    (labels > 0).mean(),
                    (labels != -1).all(),
                )


def test_foreground(batch):
    found = logits(2, 8, 12)
    total, count, shared, sums = 0.0, 0, 0.0, 0.0
    for b, y, x, _, _, truth, known in cells(batch):
        if known:
            p = 1 / (1 + math.exp(-found[b, y, x]))
            total, count = total + entropy(found[b, y, x], truth), count + 1
            shared, sums = shared + p * truth, sums + p + truth
    expected = total / count + 1 - (2 * shared + 1) / (sums + 1)
    assert losses.foreground_loss(found, batch).item() == pytest.approx(expected)


def test_direction(batch):
    found = logits(2, BINS, 8, 12)
    terms = []
    for b, objects in enumerate(batch.objects):
        for y in range(8):
            for x in range(12):
                k = objects.labels[2 * y, 2 * x] - 1
                if k < 0:
                    continue
                dx = objects.centres[k][0] - (2 * x + 0.5)
                dy = objects.centres[k][1] - (2 * y + 0.5)
                turn = (math.atan2(dy, dx) + math.pi) / (2 * math.pi)
                scores = found[b, :, y, x]
                terms.append(float(scores.logsumexp(0) - scores[min(int(turn * BINS), BINS - 1)]))
    assert losses.direction_loss(found, batch).item() == pytest.approx(np.mean(terms))


def test_boxes(batch):
    found = logits(2, 4, 8, 12).exp() * 4
    total, weights = 0.0, 0.0
    for b, y, x, label, depth, _, _ in cells(batch):
        if label <= 0 or depth <= 0.4:
            continue
        x1, y1, x2, y2 = batch.objects[b].boxes[label - 1].tolist()
        px, py = 2 * x + 1, 2 * y + 1
        truth = [max(v, 0.5) for v in (px - x1, py - y1, x2 - px, y2 - py)]
        own = found[b, :, y, x].tolist()
        box = (px - own[0], py - own[1], px + own[2], py + own[3])
        true_box = (px - truth[0], py - truth[1], px + truth[2], py + truth[3])
        logs = np.mean([abs(math.log(o) - math.log(t)) for o, t in zip(own, truth, strict=True)])
        weight = batch.objects[b].areas[label - 1] ** -0.5
        total += weight * (1 - giou(box, true_box) + 0.3 * logs)
        weights += weight
    assert losses.box_loss(found, batch).item() == pytest.approx(total / weights, rel=1e-6)


def giou(a, b):
    """Rezatofighi et al. 2019, algorithm 1."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    areas = [(c[2] - c[0]) * (c[3] - c[1]) for c in (a, b)]
    union = sum(areas) - shared
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return shared / union - (hull - union) / hull


def test_no_core_no_box_loss_but_a_gradient(batch):
    nothing = object_targets(np.zeros((16, 24), int), np.zeros(0), 1)
    empty = target_batch([nothing], BINS, CPU, (16, 24))
    found = logits(1, 4, 8, 12).exp().requires_grad_()
    loss = losses.box_loss(found, empty)
    loss.backward()
    assert loss.item() == 0
    assert found.grad.abs().sum() == 0


def test_heat(batch):
    found = logits(2, 8, 12)
    done = object_table([np.array([True, False]), np.array([False])], 1.0, CPU)
    unclear = object_table([np.array([False, False]), np.array([True])], 0.0, CPU)
    total, norm = 0.0, 0.0
    for b, y, x, label, depth, _, known in cells(batch):
        k = max(label, 0)
        target = min(1.5 * depth, 1) * (1 - float(done[b, k]))
        weight = 0.0 if not known or float(unclear[b, k]) else 1.0
        if k > 0:
            area = batch.objects[b].areas[k - 1]
            weight *= min(max((400 / area) ** 0.5, 0.5), 5)
        p = 1 / (1 + math.exp(-found[b, y, x]))
        total += weight * abs(target - p) * entropy(found[b, y, x], target)
        norm += weight * target
    expected = total / max(norm, 20.0)
    assert losses.heat_loss(found, batch, done, unclear).item() == pytest.approx(expected, rel=1e-6)


def test_masks_scores_and_overlap_by_hand():
    truth = torch.tensor([[[1.0, 1.0], [0.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    found = torch.tensor([[[1.0, 0.4], [0.6, 0.0]], [[0.0, 0.0], [0.0, 0.2]]])
    assert losses.hard_iou(found, truth).tolist() == pytest.approx([1 / 3, 0.0])
    dice = losses.dice_loss(found.flatten(1), truth.flatten(1))
    assert dice.tolist() == pytest.approx([1 - 3.8 / 5, 1 - 1 / 1.2])
    targets = losses.score_target(torch.tensor([0.0, 0.3, 0.55, 0.8, 1.0]))
    assert targets.tolist() == pytest.approx([0, 0, 0.5, 1, 1])
    sure = torch.where(truth > 0.5, 30.0, -30.0)
    assert losses.mask_loss(sure, truth).tolist() == pytest.approx([0, 0], abs=1e-6)
