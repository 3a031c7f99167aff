"""Transforms and augmentations."""

from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import transforms as T
from PIL import Image


@pytest.fixture(autouse=True)
def _seed():
    np.random.seed(3)  # noqa: NPY002  (the augmentations draw from the global generator)


def make_image(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


def test_resize_of_bytes_is_pillows():
    image = make_image(6, 8, 3)
    resized = T.ResizeTransform(6, 8, 9, 5).apply_image(image)
    expected = Image.fromarray(image).resize((5, 9), Image.Resampling.BILINEAR)
    assert np.array_equal(resized, np.asarray(expected))


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("channels", [(), (1,), (3,), (4,)])
def test_resize_keeps_channels(dtype, channels):
    image = make_image(6, 8, *channels).astype(dtype)
    resized = T.ResizeTransform(6, 8, 9, 5).apply_image(image)
    assert resized.shape == (9, 5, *channels)
    assert resized.dtype == dtype


def test_resize_of_labels_invents_none():
    labels = np.array([[0, 7], [200, 7]], np.uint8)
    resized = T.ResizeTransform(2, 2, 7, 5).apply_segmentation(labels)
    assert set(np.unique(resized)) == {0, 7, 200}


def test_resize_of_flipped_floats():
    image = np.arange(12, dtype=np.float32).reshape(3, 4)[:, ::-1]  # negative stride
    resize = T.ResizeTransform(3, 4, 6, 8)
    assert np.array_equal(resize.apply_image(image), resize.apply_image(image.copy()))


def test_resize_of_coordinates_and_back():
    resize = T.ResizeTransform(10, 20, 30, 5)
    points = np.array([[20.0, 10.0], [0.0, 5.0]])
    moved = resize.apply_coords(points.copy())
    assert moved.tolist() == [[5, 30], [0, 15]]
    assert np.allclose(resize.inverse().apply_coords(moved), points)


def test_resize_refuses_another_size():
    with pytest.raises(AssertionError):
        T.ResizeTransform(10, 20, 30, 5).apply_image(make_image(20, 10))


@pytest.mark.parametrize(
    ("size", "short", "longest", "expected"),
    [
        ((480, 640), 800, 1333, (800, 1067)),
        ((640, 480), 800, 1333, (1067, 800)),
        ((100, 400), 800, 1333, (333, 1333)),
        ((7, 7), 3, 100, (3, 3)),
    ],
)
def test_shortest_edge(size, short, longest, expected):
    assert T.ResizeShortestEdge.get_output_shape(*size, short, longest) == expected
    transform = T.ResizeShortestEdge(short, longest).get_transform(np.empty(size, np.uint8))
    assert (transform.new_h, transform.new_w) == expected


def test_shortest_edge_draws_its_length():
    image = make_image(10, 20)
    lengths = {T.ResizeShortestEdge((3, 5)).get_transform(image).new_h for _ in range(40)}
    assert lengths == {3, 4, 5}
    choice = T.ResizeShortestEdge((3, 5), sample_style="choice")
    assert {choice.get_transform(image).new_h for _ in range(40)} == {3, 5}
    with pytest.raises(AssertionError):
        T.ResizeShortestEdge((3, 4, 5))


def test_shortest_edge_of_zero_changes_nothing():
    assert isinstance(T.ResizeShortestEdge(0).get_transform(make_image(4, 4)), T.NoOpTransform)


def test_resize_to_a_square():
    assert T.Resize(5).get_transform(make_image(3, 4)).apply_image(make_image(3, 4)).shape == (5, 5)


def test_flips():
    image = make_image(4, 6)
    assert np.array_equal(T.RandomFlip(1.0)(T.AugInput(image)).apply_image(image), image[:, ::-1])
    vertical = T.RandomFlip(1.0, horizontal=False, vertical=True)
    assert np.array_equal(vertical.get_transform(image).apply_image(image), image[::-1])
    assert isinstance(T.RandomFlip(0.0).get_transform(image), T.NoOpTransform)
    for both in (True, False):
        with pytest.raises(ValueError, match=r".+"):
            T.RandomFlip(horizontal=both, vertical=both)


def test_input_is_transformed_as_a_whole():
    image, labels = make_image(4, 6, 3), make_image(4, 6)
    boxes = np.array([[0.0, 0.0, 2.0, 4.0]])
    given = T.AugInput(image, boxes=boxes.copy(), sem_seg=labels)
    transforms = T.AugmentationList([T.HFlipTransform(6), T.Resize((8, 6))])(given)
    assert given.image.shape == (8, 6, 3)
    assert given.boxes.tolist() == [[4, 0, 6, 8]]
    assert np.array_equal(given.sem_seg, np.repeat(labels[:, ::-1], 2, axis=0))
    assert np.array_equal(transforms.apply_image(image), given.image)


def test_augmentation_sees_what_it_names():
    class Wants(T.Augmentation):
        def get_transform(self, image, sem_seg):
            assert image.shape[:2] == sem_seg.shape
            return T.NoOpTransform()

    class WantsMore(T.Augmentation):
        def get_transform(self, image, depth):
            return T.NoOpTransform()

    given = T.AugInput(make_image(4, 6, 3), sem_seg=make_image(4, 6))
    Wants()(given)
    with pytest.raises(AttributeError, match="depth"):
        WantsMore()(given)
