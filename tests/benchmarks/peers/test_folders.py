from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from benchmarks.peers.folders import (
    Selection,
    copy_selected,
    draw_rosettes,
    resized,
    shuffled,
)
from benchmarks.peers.peer import read_pairs
from recseg_d2.data.synthetic.rosettes import draw_rosette
from recseg_d2.errors import UserError


@pytest.fixture
def data(tmp_path):
    """Training images a1 ... a6 with as many objects, validation images b1 ... b3; RGBA files."""
    for part, letter, count in (("train", "a", 6), ("val", "b", 3)):
        for objects in range(1, count + 1):
            labels = np.zeros((8, 32), dtype=np.uint16)
            for k in range(objects):
                labels[2:6, 4 * k : 4 * k + 4] = 100 * (k + 1)
            image = np.full((8, 32, 4), 10 * objects, dtype=np.uint8)
            for name, array in (("images", image), ("labels", labels)):
                folder = tmp_path / "data" / part / name
                folder.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(folder / f"{letter}{objects}.png")
    return tmp_path / "data"


def stems(folder):
    return sorted(path.stem for path in (folder / "images").iterdir())


def test_selection_by_the_number_of_objects(data, tmp_path):
    counts = copy_selected(data, tmp_path / "out", Selection(objects=(2, 4)))
    assert counts == {"train": 3, "val": 2}
    assert stems(tmp_path / "out" / "train") == ["a2", "a3", "a4"]
    assert stems(tmp_path / "out" / "val") == ["b2", "b3"]


def test_copies_are_rgb_and_have_consecutive_labels(data, tmp_path):
    copy_selected(data, tmp_path / "out", Selection())
    pairs = read_pairs(tmp_path / "out" / "train")
    assert [int(labels.max()) for _, labels in pairs] == [1, 2, 3, 4, 5, 6]
    image, labels = pairs[2]
    assert image.shape == (8, 32, 3)
    assert (image == 30).all()
    assert np.unique(labels).tolist() == [0, 1, 2, 3]
    with Image.open(tmp_path / "out" / "train" / "labels" / "a1.png") as file:
        assert file.mode == "I;16"


def test_fewer_training_images_are_among_more_and_validation_is_whole(data, tmp_path):
    chosen = {}
    for images in (2, 4, None):
        out = tmp_path / str(images)
        counts = copy_selected(data, out, Selection(images=images, seed=3))
        assert counts == {"train": images or 6, "val": 3}
        chosen[images] = set(stems(out / "train"))
    assert chosen[2] < chosen[4] < chosen[None]


def test_the_order_depends_on_the_seed_alone():
    names = [f"n{k}" for k in range(20)]
    assert shuffled(names, 1) == shuffled(names[::-1], 1)
    assert shuffled(names, 1) != shuffled(names, 2)
    assert sorted(shuffled(names, 1)) == sorted(names)


def test_half_the_size(data, tmp_path):
    copy_selected(data, tmp_path / "out", Selection(scale=0.5))
    image, labels = read_pairs(tmp_path / "out" / "train")[0]
    assert image.shape == (4, 16, 3)
    assert labels.tolist()[1] == [1, 1] + [0] * 14


def test_labels_are_not_mixed_and_pixels_are_averaged():
    image = np.zeros((2, 4, 3), dtype=np.uint8)
    image[:, 1] = 100
    labels = np.array([[5, 5, 9, 9], [5, 5, 9, 9]], dtype=np.int32)
    smaller, nearest = resized(image, labels, 0.5)
    assert smaller[..., 0].tolist() == [[50, 0]]
    assert nearest.tolist() == [[5, 9]]


def test_objects_are_counted_at_the_size_of_the_copies(tmp_path):
    """An object of one pixel that the nearest neighbour passes over does not count."""
    labels = np.zeros((8, 8), dtype=np.uint16)
    labels[4:8, 4:8], labels[0, 0] = 1, 2
    for part in ("train", "val"):
        for name, array in (("images", np.zeros((8, 8), np.uint8)), ("labels", labels)):
            (tmp_path / "data" / part / name).mkdir(parents=True, exist_ok=True)
            Image.fromarray(array).save(tmp_path / "data" / part / name / "one.png")
    one = Selection(objects=(1, 1), scale=0.5)
    assert copy_selected(tmp_path / "data", tmp_path / "out", one) == {"train": 1, "val": 1}
    with pytest.raises(UserError, match="found 0 images"):
        copy_selected(tmp_path / "data", tmp_path / "out2", Selection(objects=(1, 1)))


def test_too_few_images_are_refused_by_name(data, tmp_path):
    with pytest.raises(UserError, match=r"train: found 2 images .* expected 5"):
        copy_selected(data, tmp_path / "out", Selection(objects=(5, 9), images=5))
    with pytest.raises(UserError, match="val: found 0 images"):
        copy_selected(data, tmp_path / "out2", Selection(objects=(5, 9)))


def test_a_missing_image_is_named(data, tmp_path):
    (data / "train" / "images" / "a2.png").unlink()
    with pytest.raises(UserError, match=r"no image for a2\.png"):
        copy_selected(data, tmp_path / "out", Selection())


def test_rosettes_are_those_of_the_generator(tmp_path):
    assert draw_rosettes(tmp_path, {"train": 2, "val": 1}, 40, 0.5) == {"train": 2, "val": 1}
    pairs = read_pairs(tmp_path / "train")
    assert len(pairs) == 2
    image, labels = draw_rosette(1, 40, spread=0.5)
    np.testing.assert_array_equal(pairs[1][0], image)
    np.testing.assert_array_equal(pairs[1][1], labels)
    held_out = draw_rosette(1_000_000, 40, spread=0.5)[1]
    np.testing.assert_array_equal(read_pairs(tmp_path / "val")[0][1], held_out)
