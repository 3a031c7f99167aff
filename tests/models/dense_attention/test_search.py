import dataclasses

import numpy as np
import pytest
import torch
from models.dense_attention.oracle import Oracle, same_partition, scattered_labels

from recseg_d2.models.dense_attention.options import SearchOptions
from recseg_d2.models.dense_attention.search import Search, boxes_apart

OPTIONS = SearchOptions(heat_thresh=0.5, score_thresh=0.5, min_area=4)


def separate(labels: np.ndarray, least: int = 40) -> np.ndarray:
    """Without objects that hide nearly whole behind others."""
    areas = np.bincount(labels.ravel())
    labels[areas[labels] < least] = 0
    return labels


def run(labels, options=OPTIONS, **arguments):
    image = torch.from_numpy(labels).float()[None]
    return Search(Oracle(), image, options, **arguments).run()


@pytest.mark.parametrize("size", [(96, 128), (70, 101)])
def test_every_object_is_found_once(size):
    labels = separate(scattered_labels(np.random.default_rng(0), size, 12))
    found = run(labels).drawing.found(4)
    assert found.labels.shape == size
    assert same_partition(found.labels.numpy(), labels, 0.6)
    assert (found.scores > 0.9).all()


def test_one_look_a_round_finds_the_same_objects():
    labels = separate(scattered_labels(np.random.default_rng(1), (160, 160), 25))
    together = run(labels)
    one_by_one = run(labels, dataclasses.replace(OPTIONS, looks_per_round=1))
    assert same_partition(
        together.drawing.found(4).labels.numpy(), one_by_one.drawing.found(4).labels.numpy(), 0.95
    )
    assert len({look.round for look in one_by_one.looks}) == len(one_by_one.looks)
    assert len({look.round for look in together.looks}) < len(together.looks) / 2


def test_objects_come_in_the_order_of_their_heat_within_a_round():
    labels = separate(scattered_labels(np.random.default_rng(2), (128, 128), 10))
    looks = run(labels).looks
    first = [look.heat for look in looks if look.round == 0]
    assert first == sorted(first, reverse=True)
    assert [look.found for look in looks] == list(range(len(looks)))


def test_an_empty_image_ends_at_once():
    result = run(np.zeros((50, 40), np.int32))
    assert result.looks == []
    assert result.drawing.found(1).labels.shape == (50, 40)


def test_rejected_places_are_not_looked_at_again():
    labels = separate(scattered_labels(np.random.default_rng(3), (96, 96), 6))
    numbers = np.unique(labels[labels > 0])
    model = Oracle(unsure=(int(numbers[0]),))
    result = Search(model, torch.from_numpy(labels).float()[None], OPTIONS).run()
    unsure = [look for look in result.looks if look.score < 0.1]
    assert len(unsure) == 1
    assert unsure[0].found == -1
    assert len(result.objects) == len(numbers) - 1


def test_the_most_objects_are_kept_to():
    labels = separate(scattered_labels(np.random.default_rng(4), (160, 160), 20))
    assert len(run(labels, dataclasses.replace(OPTIONS, max_objects=5)).objects) == 5


def test_known_objects_are_not_found_again():
    labels = separate(scattered_labels(np.random.default_rng(5), (96, 96), 8))
    numbers = np.unique(labels[labels > 0])
    known = np.where(labels == numbers[0], 7, 0)
    found = run(labels, known=torch.from_numpy(known)).drawing.found(4)
    assert same_partition(found.labels.numpy(), np.where(known > 0, 0, labels), 0.8)


def test_heat_maps_are_kept_where_asked_for():
    labels = separate(scattered_labels(np.random.default_rng(6), (64, 64), 4))
    result = run(labels, keep_heat=True)
    rounds = max(look.round for look in result.looks) + 1
    assert len(result.heat) == rounds + 1  # the last one shows that nothing is left
    assert result.heat[-1].max() < OPTIONS.heat_thresh


def test_no_place_is_looked_at_that_is_too_cold_for_an_object_to_be_kept():
    labels = separate(scattered_labels(np.random.default_rng(6), (128, 128), 10))
    heats = sorted(look.heat for look in run(labels).looks)
    least = (heats[4] + heats[5]) / 2
    strict = dataclasses.replace(OPTIONS, heat_thresh=0.0, score_thresh=least**0.5)
    assert sorted(look.heat for look in run(labels, strict).looks) == heats[5:]


def test_the_least_heat_by_hand():
    assert SearchOptions(heat_thresh=0.2, score_thresh=0.4).least_heat == 0.2
    assert SearchOptions(heat_thresh=0.2, score_thresh=0.6).least_heat == pytest.approx(0.36)


def test_boxes_apart():
    boxes = np.array([[0, 0, 8, 8], [8, 0, 16, 8], [7, 0, 15, 8], [1, 1, 3, 3], [50, 50, 52, 52]])
    boxes = boxes.astype(float)
    assert boxes_apart(boxes, 9, 0.0).tolist() == [0, 1, 4]
    assert boxes_apart(boxes, 2, 0.0).tolist() == [0, 1]
    # the third has an eighth in common with the first, but seven with the second
    assert boxes_apart(boxes[[0, 2, 1]], 9, 0.125).tolist() == [0, 1]
    assert boxes_apart(boxes[[0, 2, 1]], 9, 0.124).tolist() == [0, 2]
    # a small box inside of another has all of itself in common with it
    assert boxes_apart(boxes[[0, 3]], 9, 0.99).tolist() == [0]
    assert boxes_apart(boxes[[0, 3]], 9, 1.0).tolist() == [0, 1]
    assert boxes_apart(np.zeros((0, 4)), 3, 0.1).tolist() == []


def test_the_less_boxes_may_share_the_more_rounds_there_are():
    labels = separate(scattered_labels(np.random.default_rng(1), (160, 160), 25))
    rounds = []
    for shared in (0.0, 0.1, 0.5):
        result = run(labels, dataclasses.replace(OPTIONS, shared_box=shared))
        rounds.append(max(look.round for look in result.looks) + 1)
        assert len(result.objects) == len(np.unique(labels)) - 1
    assert rounds == sorted(rounds, reverse=True)
    assert rounds[0] > rounds[-1]
