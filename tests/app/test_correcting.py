"""Corrections of an image with a trained model: find, point, draw, look."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.app.correcting import DELETE, ERASE, PAINT
from recseg_d2.errors import UserError


def inside(mask):
    """A pixel, x and y, deep in a mask: the one whose row and column have most of it."""
    row = mask.sum(1).argmax()
    columns = np.flatnonzero(mask[row])
    return int(columns[len(columns) // 2]), int(row)


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


def test_the_model_finds_the_leaves_and_undo_takes_them_back(image, finder, truth):
    assert image.find(finder, finder.score, finder.scale) == image.edits.count
    assert abs(image.edits.count - len(np.unique(truth)[1:])) <= 1
    assert iou(image.edits.labels > 0, truth > 0) > 0.8
    assert image.edits.undo()
    assert image.edits.count == 0


def test_a_higher_score_bar_keeps_fewer(image, finder):
    every = image.find(finder, finder.score, finder.scale)
    scores = sorted(image.predicted().instances.scores.tolist())
    assert image.find(finder, (scores[0] + scores[1]) / 2, finder.scale) < every
    assert image.find(finder, 1.0, finder.scale) == 0


def test_pointing_brings_a_deleted_leaf_back(image, finder):
    image.find(finder, finder.score, finder.scale)
    before = image.edits.labels.copy()
    biggest = np.bincount(before.ravel())[1:].argmax() + 1
    place = inside(before == biggest)
    image.brush(DELETE, place, 0)
    assert image.edits.number_at(*place[::-1]) == 0
    image.point(finder, place, finder.scale)
    number = image.edits.number_at(*place[::-1])
    assert number > biggest
    assert iou(image.edits.labels == number, before == biggest) > 0.7
    others = before * (before != biggest)
    assert np.array_equal(image.edits.labels * (image.edits.labels != number), others)


def test_pointing_at_an_object_that_is_there_adds_none(image, finder):
    image.find(finder, finder.score, finder.scale)
    before = image.edits.labels.copy()
    for number in image.edits.numbers:
        with pytest.raises(UserError, match="already"):
            image.point(finder, inside(before == number), finder.scale)
    assert np.array_equal(image.edits.labels, before)


def test_pointing_where_the_model_sees_no_free_pixel_is_said(image, path, finder, monkeypatch):
    image.find(finder, finder.score, finder.scale)
    found = finder.find(finder.read(path), 1.0, finder.scale)  # none
    monkeypatch.setattr(finder, "object_at", lambda *asked: found)
    with pytest.raises(UserError, match="no further object"):
        image.point(finder, (0, 0), finder.scale)


def test_an_object_that_a_person_pointed_at_is_certain(image, finder, truth):
    image.point(finder, inside(truth == truth.max()), finder.scale)
    assert image.predicted().instances.scores.tolist() == [1.0]


def test_models_without_a_way_to_point_say_so(image, finder, monkeypatch):
    monkeypatch.setattr(finder, "can_point", False)
    with pytest.raises(UserError, match="Paint"):
        image.point(finder, (3, 3), finder.scale)


def test_the_brush_goes_on_with_the_object_it_touched(image):
    image.brush(PAINT, (10, 10), 3)
    image.brush(PAINT, (30, 10), 3)  # on background: the same object
    assert image.edits.count == 1
    image.new_object()
    image.brush(PAINT, (60, 60), 4)
    assert image.edits.count == 2
    image.brush(PAINT, (10, 10), 5)  # on the first again
    image.brush(ERASE, (50, 10), 2)  # nothing of it is there
    image.brush(ERASE, (30, 10), 3)
    labels = image.edits.labels
    assert labels[10, 30] == 0
    assert labels[10, 10] == labels[10, 15] == 1
    assert image.predicted().instances.scores.tolist() == [1.0, 1.0]


def test_the_picture_shows_the_first_objects_and_its_pixels_are_the_images(image):
    image.brush(PAINT, (20, 20), 8)
    image.new_object()
    image.brush(PAINT, (70, 70), 8)
    none, one, both = (image.picture(n) for n in (0, 1, None))
    height, width = both.shape[:2]
    assert height == width == 768
    changed = (one != none).any(2)
    x, y = image.place_in_image(*inside(changed))
    assert image.edits.number_at(y, x) == 1
    x, y = image.place_in_image(*inside((both != one).any(2)))
    assert image.edits.number_at(y, x) == 2
    assert image.place_in_image(0, 0) == (0, 0)
    assert image.place_in_image(767.9, 767.9) == (95, 95)


def test_label_maps_are_numbered_from_one_without_gaps(image):
    for x in (10, 40, 70):
        image.new_object()
        image.brush(PAINT, (x, 20), 5)
    image.brush(DELETE, (40, 20), 0)
    labels = image.label_map()
    assert np.unique(labels).tolist() == [0, 1, 2]
    assert labels[20, 70] == 2
    image.edits.paint(3, 0, 0, 1000)
    assert np.unique(image.label_map()).tolist() == [1]
