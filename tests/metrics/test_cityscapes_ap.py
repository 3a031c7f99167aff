from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image

from benchmarks.metrics import SceneFiles, official_results
from recseg_d2.data.sources.instance_ids import LABEL_IDS, STREET_CLASSES
from recseg_d2.evaluation.cityscapes_results import write_submission
from recseg_d2.metrics.cityscapes_ap import (
    ALL,
    THRESHOLDS,
    WITHIN_50_M,
    average_precision,
    summarize,
)
from recseg_d2.metrics.cityscapes_matching import (
    SceneMatches,
    crop_mask,
    match_scene,
    read_scene,
)

ROAD, VOID, CARAVAN, CAR, BUS = 7, 3, 29, 26, 28
BY_NAME = dict(zip(STREET_CLASSES, LABEL_IDS, strict=True))
SHAPE = (60, 80)
OFFICIAL_KEYS = {
    "AP": ("ap", "allAp"),
    "AP50%": ("ap50%", "allAp50%"),
    "AP100m": ("ap100m", "allAp100m"),
    "AP50m": ("ap50m", "allAp50m"),
    "AP50%50m": ("ap50%50m", "allAp50%50m"),
}


def box(top: int, left: int, height: int, width: int) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def scene(*regions: tuple[int, np.ndarray]) -> np.ndarray:
    """Instance ids of regions on a road, later ones on top."""
    ids = np.full(SHAPE, ROAD, dtype=np.uint16)
    for number, mask in regions:
        ids[mask] = number
    return ids


def matches(
    ids: np.ndarray, *found: tuple[int, float, np.ndarray], distances: np.ndarray | None = None
) -> SceneMatches:
    """What is compared of an image, predictions given as (label, score, mask)."""
    labels, scores, masks = zip(*found, strict=True) if found else ((), (), ())
    return match_scene(read_scene(ids, LABEL_IDS, distances), labels, scores, map(crop_mask, masks))


def ap(*images: SceneMatches, label: int = CAR) -> list[float]:
    return average_precision(images, label).tolist()


FIRST, SECOND = box(0, 0, 20, 20), box(0, 40, 20, 20)  # 400 pixels each
TWO_CARS = scene((26000, FIRST), (26001, SECOND))


def test_perfect_and_missed():
    assert ap(matches(TWO_CARS, (CAR, 0.9, FIRST), (CAR, 0.5, SECOND))) == [1.0] * 10
    assert ap(matches(TWO_CARS)) == [0.0] * 10
    assert all(map(math.isnan, ap(matches(TWO_CARS), label=BUS)))


def test_by_hand():
    """Scores .9 right, .8 wrong, .7 right: the curve (0, 1) (1/2, 1) (1/2, 1/2) (1, 2/3)."""
    wrong = box(30, 0, 20, 20)
    found = matches(TWO_CARS, (CAR, 0.9, FIRST), (CAR, 0.8, wrong), (CAR, 0.7, SECOND))
    assert ap(found) == pytest.approx([1 / 2 + 1 / 2 * (1 / 2 + 2 / 3) / 2] * 10)


def test_equal_scores_are_one_point():
    """One right and one wrong at the same score: the curve (0, 1) (1/2, 1/2)."""
    found = matches(TWO_CARS, (CAR, 0.5, box(30, 0, 20, 20)), (CAR, 0.5, FIRST))
    assert ap(found) == pytest.approx([1 / 2 * (1 + 1 / 2) / 2] * 10)


def test_over_the_threshold_not_at_it():
    half = box(0, 0, 10, 20)  # IoU 0.5
    more = box(0, 0, 11, 20)  # IoU 0.55
    one_car = scene((26000, FIRST))
    assert ap(matches(one_car, (CAR, 0.5, half))) == [0.0] * 10
    assert ap(matches(one_car, (CAR, 0.5, more)))[0] == 1.0
    assert ap(matches(one_car, (CAR, 0.5, more)))[2:] == [0.0] * 8


def test_of_several_on_one_object_the_highest_score_is_right():
    one_car = scene((26000, FIRST))
    found = matches(one_car, (CAR, 0.3, FIRST), (CAR, 0.8, box(0, 0, 19, 20)))
    assert ap(found)[0] == 1.0  # the curve (0, 1) (1, 1) (1, 1/2) has no width after the first
    two = matches(TWO_CARS, (CAR, 0.9, FIRST), (CAR, 0.8, FIRST), (CAR, 0.7, SECOND))
    assert ap(two)[0] == pytest.approx(1 / 2 + 1 / 2 * (1 / 2 + 2 / 3) / 2)


@pytest.mark.parametrize(
    ("number", "kept"),
    [(VOID, False), (CAR, False), (CARAVAN, False), (BUS, True), (29001, True), (ROAD, True)],
)
def test_what_lies_in_void_or_a_group_of_its_class_is_dropped(number, kept):
    """The false positive lies for 60 % in the region, so from the threshold 0.6 on it counts."""
    ids = scene((26000, FIRST), (number, box(30, 0, 12, 20)))
    found = matches(ids, (CAR, 0.9, box(30, 0, 20, 20)), (CAR, 0.5, FIRST))
    wrong_first = (0 + 1 / 2) / 2  # the curve (0, 1) (0, 0) (1, 1/2)
    expected = [wrong_first if kept or t >= 0.6 else 1.0 for t in THRESHOLDS.tolist()]
    assert ap(found) == pytest.approx(expected)


def test_a_group_found_exactly_is_dropped_and_no_object():
    ids = scene((26000, FIRST), (CAR, SECOND))
    assert ap(matches(ids, (CAR, 0.9, SECOND), (CAR, 0.5, FIRST))) == [1.0] * 10
    only_group = matches(scene((CAR, SECOND)), (CAR, 0.9, SECOND))
    assert all(map(math.isnan, ap(only_group)))


def test_small_instances_are_no_objects_and_what_finds_them_is_dropped():
    small = box(40, 40, 9, 11)  # 99 pixels
    ids = scene((26000, FIRST), (26001, small))
    assert ap(matches(ids, (CAR, 0.9, small), (CAR, 0.5, FIRST))) == [1.0] * 10
    hundred = scene((26000, FIRST), (26001, box(40, 40, 10, 10)))
    assert ap(matches(hundred, (CAR, 0.5, FIRST))) == pytest.approx([1 / 2] * 10)


def test_only_dropped_predictions_give_zero():
    """The official scripts fail on this."""
    ids = scene((26000, FIRST), (VOID, SECOND))
    assert ap(matches(ids, (CAR, 0.9, SECOND))) == [0.0] * 10


def test_empty_predictions_and_other_labels_are_left_out():
    nothing = np.zeros(SHAPE, dtype=bool)
    found = matches(TWO_CARS, (CAR, 1.0, nothing), (ROAD, 1.0, FIRST), (BUS, 1.0, FIRST))
    assert ap(found) == [0.0] * 10
    assert found.labels.tolist() == [ROAD, BUS]


def test_one_huge_object():
    everything = np.ones(SHAPE, dtype=bool)
    assert ap(matches(scene((26000, everything)), (CAR, 0.1, everything))) == [1.0] * 10


def test_images_add_up_in_any_order():
    images = [
        matches(TWO_CARS, (CAR, 0.9, FIRST)),
        matches(TWO_CARS, (CAR, 0.8, SECOND)),
        matches(scene()),
        matches(scene(), (CAR, 0.85, FIRST)),
    ]
    # .9 right, .85 wrong, .8 right; 2 of 4: (0, 1) (1/4, 1) (1/4, 1/2) (1/2, 2/3)
    assert ap(*images) == pytest.approx([1 / 4 + 1 / 4 * (1 / 2 + 2 / 3) / 2] * 10)
    assert ap(*images) == ap(*reversed(images))


def test_distances_choose_objects():
    near, far = box(0, 0, 40, 30), box(0, 40, 40, 30)  # 1200 pixels each
    distances = np.where(far, 70.0, 20.0)
    ids = scene((26000, near), (26001, far))
    found = matches(ids, (CAR, 0.9, near), distances=distances)
    scores = summarize([found], {"car": CAR})["car"]
    assert scores == {
        "AP": pytest.approx(0.5),
        "AP50%": pytest.approx(0.5),
        "AP100m": pytest.approx(0.5),
        "AP50m": 1.0,
        "AP50%50m": 1.0,
    }
    distances[:21, :30] = np.nan  # of less than half of the near car
    unknown = matches(ids, (CAR, 0.9, near), distances=distances)
    assert math.isnan(average_precision([unknown], CAR, WITHIN_50_M)[0])
    assert average_precision([unknown], CAR, ALL)[0] == pytest.approx(0.5)


def test_summary_without_distances_and_without_images():
    found = matches(TWO_CARS, (CAR, 0.9, FIRST), (CAR, 0.5, SECOND))
    scores = summarize([found], BY_NAME)
    assert scores["average"] == scores["car"] == {"AP": 1.0, "AP50%": 1.0}
    assert math.isnan(scores["bus"]["AP"])
    assert math.isnan(summarize([], BY_NAME)["average"]["AP"])
    mixed = [found, matches(TWO_CARS, distances=np.ones(SHAPE))]
    assert summarize(mixed, BY_NAME)["average"].keys() == {"AP", "AP50%"}


def test_wrong_arrays_are_refused():
    with pytest.raises(ValueError, match="uint16"):
        read_scene(np.zeros((2, 2), dtype=np.int32), LABEL_IDS)
    with pytest.raises(ValueError, match=r"\(1, 2\), expected \(2, 2\)"):
        read_scene(np.zeros((2, 2), dtype=np.uint16), LABEL_IDS, np.zeros((1, 2)))


# ------------------------------------------------------------------ against the official scripts

LABELS = (CAR, CAR, 24, BUS)


def random_box(rng: np.random.Generator, largest: int) -> np.ndarray:
    size = rng.integers(3, largest, 2)
    return box(int(rng.integers(0, 50)), int(rng.integers(0, 70)), *map(int, size))


def random_scene(rng: np.random.Generator) -> np.ndarray:
    """Instances of all sizes, groups, void, other classes, one on top of another; maybe nothing."""
    regions = []
    for number in range(int(rng.integers(0, 8))):
        label = int(rng.choice(LABELS))
        others = (label, VOID, CARAVAN, 29000 + number, 11)
        other = rng.random() < 0.35
        region = int(rng.choice(others)) if other else label * 1000 + number
        regions.append((region, random_box(rng, 60)))
    return scene(*regions)


def random_predictions(rng: np.random.Generator, ids: np.ndarray) -> list:
    """Near copies of what is there, exact copies, strays, empty ones; few different scores."""
    found = []
    segments = [k for k in np.unique(ids).tolist() if k != ROAD]
    for _ in range(int(rng.integers(0, 9))):
        mask = random_box(rng, 30)
        label = int(rng.choice(LABELS))
        if segments and rng.random() < 0.7:
            segment = int(rng.choice(segments))
            mask = np.roll(ids == segment, rng.integers(-2, 3, 2), axis=(0, 1))
            label = segment // 1000 if segment >= 1000 and rng.random() < 0.9 else label
        mask = mask & (rng.random(SHAPE) < rng.choice([1.0, 1.0, 0.8]))
        if rng.random() < 0.05:
            mask = np.zeros(SHAPE, dtype=bool)
        repeats = 1 + int(rng.random() < 0.2)
        found += [(label, float(rng.choice([0.2, 0.5, 0.9, rng.random()])), mask)] * repeats
    # The scripts fail where all predictions of a class are dropped: a stray one never is.
    stray = np.zeros(SHAPE, dtype=bool)
    stray[(ids == ROAD) & (np.cumsum(ids == ROAD).reshape(SHAPE) < 40)] = True
    return found + [(label, 0.1, stray) for label in sorted({f[0] for f in found})]


def slow_distances(ids: np.ndarray, distances: np.ndarray) -> dict[int, tuple[float, float]]:
    """Median and density of each region, one after the other."""
    result = {}
    for number in np.unique(ids).tolist():
        values = [v for v in distances[ids == number].tolist() if not math.isnan(v)]
        density = len(values) / int((ids == number).sum())
        result[number] = (float(np.median(values)) if values else math.inf, density)
    return result


def compare_with_official(folder, scenes: list[tuple[np.ndarray, list, np.ndarray]]) -> None:
    """All numbers of ours and of the scripts, of scenes given as ids, predictions, metres."""
    pytest.importorskip(
        "cityscapesscripts.evaluation.evalInstanceLevelSemanticLabeling",
        reason="needs cityscapesscripts (extra: dev)",
    )
    files, images, by_path = [], [], {}
    for index, (ids, found, meters) in enumerate(scenes):
        truth = folder / f"{index}_gtFine_instanceIds.png"
        Image.fromarray(ids).save(truth)
        labels, scores, masks = zip(*found, strict=True) if found else ((), (), ())
        files.append(SceneFiles(truth, write_submission(folder, f"{index}", labels, scores, masks)))
        by_path[str(truth.resolve())] = slow_distances(ids, meters)
        images.append(matches(ids, *found, distances=meters))
    official, ours = official_results(files, by_path), summarize(images, BY_NAME)
    for ours_key, (class_key, mean_key) in OFFICIAL_KEYS.items():
        expected = {name: numbers[class_key] for name, numbers in official["classes"].items()}
        expected["average"] = official[mean_key]
        found_here = {name: numbers[ours_key] for name, numbers in ours.items()}
        assert found_here == pytest.approx(expected, abs=1e-9, nan_ok=True), ours_key


@pytest.mark.parametrize("seed", range(40))
def test_equal_to_the_official_scripts(seed, tmp_path):
    rng = np.random.default_rng(seed)
    scenes = []
    for _ in range(int(rng.integers(1, 5))):
        ids = random_scene(rng)
        meters = np.where(rng.random(SHAPE) < 0.6, rng.choice([30.0, 60.0, 120.0], SHAPE), np.nan)
        meters[:, : int(rng.integers(1, 80))] = 40.0
        scenes.append((ids, random_predictions(rng, ids), meters))
    compare_with_official(tmp_path, scenes)


SMALL = 9 * 10  # pixels, fewer than an object needs
NEARBY = np.full(SHAPE, 40.0)


@pytest.mark.parametrize("rows", range(8, 21))
def test_equal_at_ious_exactly_at_the_thresholds(rows, tmp_path):
    found = [(CAR, 0.9, box(0, 0, rows, 20)), (CAR, 0.5, SECOND), (CAR, 0.7, box(30, 0, 20, 20))]
    compare_with_official(tmp_path, [(TWO_CARS, found, NEARBY)])


@pytest.mark.parametrize("rows", range(8, 20))
@pytest.mark.parametrize("number", [VOID, CAR, CARAVAN, BUS, 29001, 26005])
def test_equal_at_ignored_shares_exactly_at_the_thresholds(number, rows, tmp_path):
    """A prediction with that many of its 20 rows in a region; IoUs are kept under 0.5."""
    region = box(30, 0, rows, 80)
    ids = scene((26000, FIRST), (number, region))
    found = [(CAR, 0.9, box(30, 0, 20, 20)), (CAR, 0.5, FIRST)]
    compare_with_official(tmp_path, [(ids, found, NEARBY)])


@pytest.mark.parametrize("width", range(10, 41))
@pytest.mark.parametrize("number", [CAR, 26005])
def test_equal_on_small_groups_and_instances(number, width, tmp_path):
    """The small group's pixels count twice among those ignored."""
    region = box(40, 0, 9, 10)
    assert region.sum() == SMALL
    found = [(CAR, 0.9, box(40, 0, 9, width)), (CAR, 0.5, FIRST)]
    compare_with_official(tmp_path, [(scene((26000, FIRST), (number, region)), found, NEARBY)])


@pytest.mark.parametrize("meters", [50.0, 50.1, 100.0, 100.1])
@pytest.mark.parametrize("known", [17, 18])
def test_equal_at_the_ends_of_the_ranges(meters, known, tmp_path):
    """Cars of exactly 1000 pixels and one fewer, with a distance of half of them or of fewer."""
    exact, fewer = box(0, 0, 25, 40), box(30, 0, 27, 37)
    distances = np.full(SHAPE, np.nan)
    distances[:, : known + 3] = meters
    found = [(CAR, 0.9, exact), (CAR, 0.7, fewer), (CAR, 0.8, box(0, 50, 20, 20))]
    ids = scene((26000, exact), (26001, fewer))
    compare_with_official(tmp_path, [(ids, found, distances)])
