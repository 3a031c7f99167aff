import torch

from recseg_d2.models.dense_attention.drawing import Drawing, DrawnObject


def square(x: int, y: int, side: int, probability: float = 0.9, score: float = 0.8) -> DrawnObject:
    return DrawnObject(torch.full((4, 4), probability), [x, y, side], score)


def test_objects_own_the_pixels_they_are_more_certain_of():
    drawing = Drawing((16, 16), (16, 16))
    assert drawing.add(square(0, 0, 8, 0.7), 1, 0.6) == 0
    assert drawing.add(square(4, 0, 8, 0.9), 1, 0.6) == 1
    assert drawing.labels[0, :13].tolist() == [1] * 4 + [2] * 8 + [0]
    assert drawing.add(square(2, 0, 8, 0.8), 1, 0.9) == 2
    assert drawing.labels[0, :13].tolist() == [1, 1, 3, 3] + [2] * 8 + [0]


def test_duplicates_are_refused():
    drawing = Drawing((16, 16), (16, 16))
    drawing.add(square(0, 0, 8, 0.7), 1, 0.6)
    assert drawing.add(square(0, 1, 8, 0.95), 1, 0.6) == -1
    assert drawing.add(square(0, 4, 8, 0.95), 1, 0.6) == 1  # IoU of a third


def test_small_objects_and_windows_outside_are_refused():
    drawing = Drawing((10, 10), (16, 16))
    assert (
        drawing.add(square(9, 9, 8), 2, 0.6) == -1
    )  # one pixel in the image, the rest in the padding
    assert drawing.add(square(9, 9, 8), 1, 0.6) == 0
    assert drawing.add(square(40, 40, 8), 1, 0.6) == -1


def test_known_objects_keep_their_pixels_and_are_not_found_again():
    known = torch.zeros(16, 16, dtype=torch.int32)
    known[:8, :8] = 3
    drawing = Drawing((16, 16), (16, 16), known)
    assert drawing.add(square(0, 0, 8, 0.99), 1, 0.6) == -1
    assert drawing.add(square(4, 0, 8, 0.99), 1, 0.6) == 0
    assert drawing.labels[0, :13].tolist() == [-3] * 8 + [1] * 4 + [0]
    found = drawing.found(1)
    assert found.labels[0, :13].tolist() == [0] * 8 + [1] * 4 + [0]
    assert found.scores.tolist() == [torch.tensor(0.8).item()]


def test_objects_that_lost_their_pixels_are_left_out_and_the_rest_renumbered():
    drawing = Drawing((16, 16), (16, 16))
    drawing.add(square(0, 0, 4, 0.6, score=0.5), 1, 0.9)
    drawing.add(square(8, 8, 8, 0.6, score=0.6), 1, 0.9)
    drawing.add(square(0, 0, 8, 0.9, score=0.7), 1, 0.9)
    found = drawing.found(5)
    assert found.scores.tolist() == torch.tensor([0.6, 0.7]).tolist()
    assert sorted(found.labels.unique().tolist()) == [0, 1, 2]
    assert found.labels[0, 0] == 2
    assert found.classes is None


def test_nothing_found():
    found = Drawing((6, 7), (32, 32)).found(1)
    assert found.labels.shape == (6, 7)
    assert len(found.scores) == 0


def test_changes_are_told_once():
    drawing = Drawing((16, 16), (16, 16))
    drawing.add(square(2, 4, 8), 1, 0.6)
    assert drawing.pop_changes() == [(slice(4, 12), slice(2, 10))]
    assert drawing.pop_changes() == []
