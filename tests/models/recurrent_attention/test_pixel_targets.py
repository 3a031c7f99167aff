"""Foreground classes and angles of pixels, against a loop over pixels and by hand."""

from __future__ import annotations

import math

import pytest
import torch

from recseg_d2.losses.targets import build_targets
from recseg_d2.models.recurrent_attention.pixel_targets import (
    NO_ANGLE,
    build_pixel_targets,
    centroids,
)


def targets_of(*images, classes=None, size=None):
    """``images``: bool tensors (N_i, H, W)."""
    classes = classes or [torch.zeros(len(m), dtype=torch.int64) for m in images]
    return build_targets(images, classes, size or tuple(images[0].shape[1:]), max_objects=9)


def literal(masks, classes):
    """(foreground, angle) of one image as nested lists, object by object and pixel by pixel."""
    height, width = masks.shape[1:]
    foreground = [[0] * width for _ in range(height)]
    angle = [[NO_ANGLE] * width for _ in range(height)]
    by_area = sorted(range(len(masks)), key=lambda n: -int(masks[n].sum()))
    for n in by_area:  # the smallest object writes last
        pixels = [tuple(p) for p in masks[n].nonzero().tolist()]
        if not pixels:
            continue
        cy = sum(y for y, _ in pixels) / len(pixels)
        cx = sum(x for _, x in pixels) / len(pixels)
        for y, x in pixels:
            degrees = math.degrees(math.atan2(cy - y, cx - x))
            foreground[y][x] = int(classes[n]) + 1
            angle[y][x] = int(((degrees + 22.5) % 360) // 45)
    return foreground, angle


def test_against_a_loop_over_pixels():
    torch.manual_seed(0)
    images, classes = [], []
    for n in (4, 1, 3):
        images.append(torch.rand(n, 13, 17) < torch.linspace(0.15, 0.6, n)[:, None, None])
        classes.append(torch.randint(0, 5, (n,)))
    found = build_pixel_targets(targets_of(*images, classes=classes))
    for i, (masks, labels) in enumerate(zip(images, classes, strict=True)):
        foreground, angle = literal(masks, labels)
        assert found.foreground[i].tolist() == foreground
        assert found.angle[i].tolist() == angle


def test_the_eight_neighbours_of_a_centroid():
    found = build_pixel_targets(targets_of(torch.ones(1, 3, 3, dtype=torch.bool)))
    assert found.angle[0].tolist() == [[1, 2, 3], [0, 0, 4], [7, 6, 5]]
    assert found.foreground[0].tolist() == [[1] * 3] * 3


def test_sectors_are_centred_on_the_axes():
    """A column of 101 pixels, seen from points 22 and 23 degrees off the horizontal."""
    masks = torch.zeros(1, 101, 101, dtype=torch.bool)
    masks[0, 50, 50] = True
    targets = targets_of(masks)
    targets.masks[:] = 0
    y = 50 - round(40 * math.tan(math.radians(22)))
    below, above = (y, 10), (50 - round(40 * math.tan(math.radians(24))), 10)
    for pixel in (below, above):
        targets.masks[0, 0][pixel] = 1
        targets.masks[0, 0][100 - pixel[0], 90] = 1  # opposite, so that the centroid stays
    angle = build_pixel_targets(targets).angle[0]
    assert angle[below] == 0
    assert angle[above] == 1


def test_overlap_belongs_to_the_smaller_object_with_its_own_centroid():
    masks = torch.zeros(2, 5, 9, dtype=torch.bool)
    masks[0] = True
    masks[1, 2, 6:9] = True
    targets = targets_of(masks, classes=[torch.tensor([3, 1])])
    found = build_pixel_targets(targets)
    assert found.foreground[0, 2].tolist() == [4] * 6 + [2] * 3
    assert found.angle[0, 2].tolist() == [0] * 5 + [4] + [0, 0, 4]


def test_no_object_and_one_pixel():
    one = torch.zeros(1, 4, 4, dtype=torch.bool)
    one[0, 1, 2] = True
    none = torch.zeros(0, 4, 4, dtype=torch.bool)
    found = build_pixel_targets(targets_of(none, one))
    assert (found.foreground[0] == 0).all()
    assert (found.angle[0] == NO_ANGLE).all()
    assert found.foreground[1].sum() == 1
    assert found.angle[1, 1, 2] == 0


def test_centroids_are_those_of_the_resized_mask():
    masks = torch.zeros(1, 8, 8, dtype=torch.bool)
    masks[0, 0:4, 2:8] = True
    targets = targets_of(masks, size=(4, 4))
    assert centroids(targets.masks)[0].tolist() == [[0.5, 2.0]]


def test_padding_owns_no_pixel():
    targets = targets_of(torch.ones(1, 3, 3, dtype=torch.bool))
    targets.valid[:] = False
    assert (build_pixel_targets(targets).foreground == 0).all()


@pytest.mark.parametrize("shape", [(1, 1), (1, 7)])
def test_thin_images(shape):
    found = build_pixel_targets(targets_of(torch.ones(1, *shape, dtype=torch.bool)))
    middle = shape[1] // 2
    assert found.angle[0, 0].tolist() == [0] * (middle + 1) + [4] * (shape[1] - middle - 1)
