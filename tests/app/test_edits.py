"""Edits of a label map: what each changes, what it leaves alone, and the way back."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.app.edits import EditedLabels


def box(top, left, bottom, right, size=(12, 16)):
    mask = np.zeros(size, bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.fixture
def edited():
    """Two boxes, the second on what the first leaves of it."""
    labels = EditedLabels((12, 16))
    assert labels.add(box(1, 1, 6, 6)) == 1
    assert labels.add(box(3, 3, 9, 10)) == 2
    return labels


def test_an_object_takes_free_pixels_alone(edited):
    assert edited.count == 2
    assert (edited.labels == 1).sum() == 25
    assert (edited.labels == 2).sum() == 6 * 7 - 3 * 3


def test_a_mask_without_a_free_pixel_changes_nothing(edited):
    before = edited.labels.copy()
    assert edited.add(box(2, 2, 4, 4)) == 0
    assert edited.add(np.zeros((12, 16), bool)) == 0
    assert np.array_equal(edited.labels, before)
    assert edited.undo()
    assert edited.numbers == [1]  # what was undone is the last edit that changed something


def test_a_click_deletes_the_object_at_its_pixel(edited):
    assert edited.delete(1, 1) == 1
    assert edited.numbers == [2]
    assert edited.delete(1, 1) == 0
    assert edited.delete(-1, 0) == edited.delete(0, 16) == 0
    assert edited.add(box(1, 1, 2, 2)) == 3  # a number is never used twice


def test_the_brush_is_round_and_takes_pixels_from_others(edited):
    assert edited.paint(2, 4, 4, 1) == 2
    ours = {(3, 4), (4, 3), (4, 4), (4, 5), (5, 4)}
    assert all(edited.labels[place] == 2 for place in ours)
    assert (edited.labels == 1).sum() == 25 - 5
    rows, columns = np.mgrid[:12, :16]
    assert edited.paint(0, 0, 15, 2.5) == 3  # a new object, cut by the image's corner
    assert np.array_equal(edited.labels == 3, rows**2 + (columns - 15) ** 2 <= 6.25)


def test_the_eraser_frees_pixels_of_one_object(edited):
    assert edited.erase(1, 4, 4, 1) == 1
    assert (edited.labels == 1).sum() == 25 - 5
    assert (edited.labels == 2).sum() == 33
    assert edited.erase(1, 11, 15, 1) == 0
    assert edited.erase(0, 4, 4, 1) == 0
    assert edited.erase(1, 3, 3, 20) == 1
    assert edited.numbers == [2]  # an object without a pixel is none


def test_undo_is_exact_to_the_first_edit():
    random, edited = np.random.default_rng(0), EditedLabels((12, 16))
    history = []
    for _ in range(60):
        before = edited.labels.copy()
        y, x = random.integers(-2, 14), random.integers(-2, 18)
        number = random.choice([0, *edited.numbers])
        kind = random.integers(5)
        if kind == 0:
            edited.add(random.random((12, 16)) < 0.1)
        elif kind == 1:
            edited.delete(y, x)
        elif kind == 2:
            edited.erase(int(number), y, x, random.random() * 4)
        elif kind == 3:
            edited.paint(int(number), y, x, random.random() * 4)
        else:
            edited.replace(random.integers(0, 4, (12, 16)))
        if not np.array_equal(edited.labels, before):
            history.append(before)
    assert len(history) > 30
    for before in reversed(history):
        assert edited.undo()
        assert np.array_equal(edited.labels, before)
    assert not edited.undo()


def test_other_objects_keep_their_order_and_get_new_numbers(edited):
    labels = np.zeros((12, 16), np.int64)
    labels[0, 0], labels[5:7, 5:7] = 9, 4
    assert edited.replace(labels) == {4: 3, 9: 4}
    assert edited.labels[0, 0] == 4
    assert edited.labels[5, 5] == 3
    assert edited.undo()
    assert edited.numbers == [1, 2]
