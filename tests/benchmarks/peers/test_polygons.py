from __future__ import annotations

import numpy as np
import pytest
from pycocotools import mask as mask_util
from scipy import ndimage

from benchmarks.peers.polygons import (
    MIN_PIECE_AREA,
    inset,
    label_map_to_polygons,
    tiles,
    trace_outline,
    without_pieces,
    yolo_lines,
)
from recseg_d2.data.synthetic.rosettes import draw_label_map


def area(outline: np.ndarray) -> float:
    """By the shoelace formula; positive if clockwise in an image, whose y goes down."""
    x, y = outline.T
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def inside(outline: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Pixels whose centre is in a polygon, by the even-odd rule, side by side."""
    found = np.zeros(shape, dtype=bool)
    for (x0, y0), (x1, y1) in zip(outline, np.roll(outline, -1, axis=0), strict=True):
        for row in range(shape[0]):
            y = row + 0.5
            if (y0 > y) != (y1 > y):
                crossing = x0 + (y - y0) / (y1 - y0) * (x1 - x0)
                found[row] ^= np.arange(shape[1]) + 0.5 < crossing
    return found


def test_a_pixel_has_four_corners():
    mask = np.zeros((4, 5), dtype=bool)
    mask[2, 3] = True
    assert trace_outline(mask).tolist() == [[3, 2], [4, 2], [4, 3], [3, 3]]


def test_an_l_has_six_corners_by_hand():
    mask = np.array([[1, 0], [1, 0], [1, 1]], dtype=bool)
    assert trace_outline(mask).tolist() == [[0, 0], [1, 0], [1, 2], [2, 2], [2, 3], [0, 3]]


def test_pixels_that_meet_at_a_corner_only_are_two_components():
    mask = np.array([[1, 1, 0], [0, 0, 1]], dtype=bool)
    assert area(trace_outline(mask)) == 2


def test_corners_that_touch_from_inside_do_not_end_the_outline():
    """A ring whose hole meets the outside at a corner: the outline passes that corner twice."""
    mask = np.array([[1, 1, 1], [1, 0, 1], [1, 1, 0]], dtype=bool)
    outline = trace_outline(mask)
    assert area(outline) == pytest.approx(7)  # the hole is open towards the missing corner
    np.testing.assert_array_equal(inside(outline, mask.shape), mask)


@pytest.mark.parametrize("seed", range(8))
def test_filling_the_outline_gives_back_the_pixels(seed):
    labels = draw_label_map(seed, 48)
    for label in range(1, labels.max() + 1):
        components, count = ndimage.label(labels == label)
        areas = [np.count_nonzero(components == k + 1) for k in range(count)]
        largest = components == int(np.argmax(areas)) + 1
        outline = trace_outline(labels == label)
        whole = ndimage.binary_fill_holes(largest)
        np.testing.assert_array_equal(inside(outline, labels.shape), whole)
        assert area(outline) == np.count_nonzero(whole)


@pytest.mark.parametrize("seed", range(4))
def test_coco_reads_the_polygons_within_a_pixel_of_the_outline(seed):
    labels = draw_label_map(seed, 64)
    for label, outline in enumerate(label_map_to_polygons(labels), start=1):
        rle = mask_util.frPyObjects([outline.ravel().tolist()], *labels.shape)
        decoded = mask_util.decode(rle)[..., 0].astype(bool)
        _, count = ndimage.label(labels == label)
        if count == 1:
            truth = ndimage.binary_fill_holes(labels == label)
            rim = ndimage.binary_dilation(truth) & ~ndimage.binary_erosion(truth)
            assert not ((decoded != truth) & ~rim).any()


def test_label_maps_with_gaps_and_without_objects():
    labels = np.zeros((6, 6), dtype=np.int32)
    assert label_map_to_polygons(labels) == []
    labels[0:2, 0:2], labels[4, 4] = 2, 9
    assert [area(outline) for outline in label_map_to_polygons(labels)] == [4, 1]


def test_an_l_moved_inwards_by_hand():
    mask = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]], dtype=bool)
    corners = [[0.5, 0.5], [1.5, 0.5], [1.5, 2.5], [3.5, 2.5], [3.5, 3.5], [0.5, 3.5]]
    assert inset(trace_outline(mask)).tolist() == corners


@pytest.mark.parametrize("seed", range(4))
def test_moved_inwards_it_runs_through_the_outermost_pixels(seed):
    labels = draw_label_map(seed, 64)
    for label in range(1, labels.max() + 1):
        mask = labels == label
        whole = ndimage.binary_fill_holes(mask)
        outermost = whole & ~ndimage.binary_erosion(whole, np.ones((3, 3)), border_value=0)
        x, y = (inset(trace_outline(mask)) - 0.5).T
        assert (x == x.astype(int)).all()
        assert outermost[y.astype(int), x.astype(int)].all()


def test_lines_are_shares_of_width_and_height():
    labels = np.zeros((4, 8), dtype=np.int32)
    labels[1:3, 2:6] = 1
    assert yolo_lines(labels) == [
        "0 0.312500 0.375000 0.687500 0.375000 0.687500 0.625000 0.312500 0.625000"
    ]


def test_tiles_cover_the_image_with_as_few_as_possible():
    assert tiles((100, 80), 128) == [(slice(0, 100), slice(0, 80))]
    windows = tiles((256, 320), 256)
    assert windows == [(slice(0, 256), slice(0, 256)), (slice(0, 256), slice(64, 320))]
    for shape in ((520, 696), (1040, 1388), (257, 256)):
        covered = np.zeros(shape, dtype=int)
        windows = tiles(shape, 256)
        for window in windows:
            assert covered[window].shape == (256, 256)
            covered[window] += 1
        assert covered.min() >= 1
        assert len(windows) == np.prod([-(-n // 256) for n in shape])


def test_pieces_go_and_objects_stay():
    labels = np.zeros((8, 8), dtype=np.int32)
    labels[0, : MIN_PIECE_AREA - 5] = 1
    labels[4:8, 0:4] = 2
    assert np.unique(without_pieces(labels)).tolist() == [0, 2]
