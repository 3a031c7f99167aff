from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import kendalltau

from recseg_d2.metrics.ordering import (
    PATTERNS,
    PairCounts,
    TauSums,
    kendall_tau,
    pair_patterns,
    pattern_values,
    strategy_values,
)


def literal_tau(values: list[float]) -> float:
    """The formula of section 4.5, pair by pair: sort, then compare the two lists."""
    n = len(values)
    concordant = discordant = 0
    for i in range(n):
        for j in range(i + 1, n):
            concordant += values[i] > values[j]
            discordant += values[i] < values[j]
    return (concordant - discordant) / (n * (n - 1) / 2)


@pytest.mark.parametrize("seed", range(5))
def test_tau_is_scipys_where_nothing_is_equal(seed):
    values = np.random.default_rng(seed).permutation(9).astype(float)
    expected = kendalltau(-np.arange(9), values).statistic
    assert kendall_tau(values) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_tau_with_equal_values_is_the_papers_formula(seed):
    values = np.random.default_rng(seed).integers(0, 4, 8).astype(float)
    assert kendall_tau(values) == pytest.approx(literal_tau(values.tolist()), abs=1e-12)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3, 2, 1], 1.0),
        ([1, 2, 3], -1.0),
        ([2, 3, 1], 1 / 3),  # (2, 3) is wrong; (2, 1) and (3, 1) are right
        ([5, 5], 0.0),
    ],
)
def test_tau_by_hand(values, expected):
    assert kendall_tau(np.array(values)) == pytest.approx(expected)


@pytest.mark.parametrize("values", [[], [1.0]])
def test_tau_needs_two_objects(values):
    assert math.isnan(kendall_tau(np.array(values)))


def test_strategies_are_one_for_the_sequences_that_name_them():
    to_the_left = np.array([[5.0, 9.0], [5.0, 6.0], [5.0, 1.0]])
    upwards = to_the_left[:, ::-1]
    growing = np.array([10, 20, 30])
    assert kendall_tau(strategy_values(to_the_left, growing)["r2l"]) == 1
    assert kendall_tau(strategy_values(upwards, growing)["b2t"]) == 1
    assert kendall_tau(strategy_values(upwards, growing)["l2s"]) == -1
    assert kendall_tau(strategy_values(to_the_left, growing)["b2t"]) == 0  # all at one height


def test_patterns_are_the_strategies_and_their_opposites():
    centers = np.array([[5.0, 9.0], [5.0, 6.0], [7.0, 1.0]])  # leftwards, the last one down
    values = pattern_values(centers, np.array([10, 20, 30]))
    tau = {name: kendall_tau(of_pattern) for name, of_pattern in values.items()}
    down = pytest.approx(2 / 3)  # one of three pairs is level
    assert tau == {
        "r2l": 1,
        "l2r": -1,
        "b2t": pytest.approx(-2 / 3),
        "t2b": down,
        "l2s": -1,
        "s2l": 1,
    }


def test_sums_over_images_by_hand():
    sums = TauSums()
    sums.update({"r2l": np.array([3, 2, 1])})  # tau 1, 3 pairs
    sums.update({"r2l": np.array([1, 2])})  # tau -1, 1 pair
    sums.update({"r2l": np.array([1])})  # nothing to say
    (row,) = sums.rows()
    assert (row["images"], row["pairs"]) == (2, 4)
    assert (row["tau"], row["tau_of_all_pairs"]) == (0.0, 0.5)
    assert row["std"] == pytest.approx(np.std([1, -1], ddof=1))


def test_the_order_of_the_images_does_not_matter():
    rng = np.random.default_rng(0)
    images = [{"a": rng.normal(size=n), "b": rng.normal(size=n)} for n in (2, 5, 1, 3, 4)]
    forwards, backwards = TauSums(), TauSums()
    for image, other in zip(images, images[::-1], strict=True):
        forwards.update(image)
        backwards.update(other)
    assert [row["sorting"] for row in forwards.rows()] == ["a", "b"]
    for ours, theirs in zip(forwards.rows(), backwards.rows(), strict=True):
        assert {k: v for k, v in ours.items() if k != "sorting"} == pytest.approx(
            {k: v for k, v in theirs.items() if k != "sorting"}
        )


def test_nothing_gives_no_row():
    assert TauSums().rows() == []


def test_one_image_has_no_spread():
    sums = TauSums()
    sums.update({"r2l": np.array([2, 1])})
    assert math.isnan(sums.rows()[0]["std"])


def test_patterns_by_hand():
    centers = np.array([[50.0, 90.0], [50.0, 70.0], [20.0, 71.0], [60.0, 71.0]])
    areas = np.array([100, 86, 84, 200])  # -14 %, -2 %, +58 % of the larger
    patterns = pair_patterns(centers, areas, (100, 100))
    named = [{p for p, follows in zip(PATTERNS, row, strict=True) if follows} for row in patterns]
    assert named == [{"r2l"}, {"b2t"}, {"t2b", "s2l"}]


def test_patterns_measure_each_axis_by_its_own_side():
    centers = np.array([[0.0, 0.0], [20.0, 20.0]])
    patterns = pair_patterns(centers, np.array([1, 1]), (100, 200))  # 20 % down, 10 % right
    assert [PATTERNS[i] for i in np.flatnonzero(patterns[0])] == ["t2b"]


def test_exactly_the_shift_is_not_more_than_it():
    centers = np.array([[0.0, 0.0], [0.0, 25.0]])
    assert not pair_patterns(centers, np.array([1, 1]), (100, 100), min_shift=0.25).any()


@pytest.mark.parametrize("count", [0, 1])
def test_no_pairs(count):
    patterns = pair_patterns(np.zeros((count, 2)), np.ones(count), (4, 4))
    assert patterns.shape == (0, 6)
    counts = PairCounts(2)
    counts.update(np.zeros(count, dtype=int), patterns)
    assert counts.pairs.sum() == 0
    assert counts.shares() == {}


def test_pairs_by_category_against_a_loop():
    rng = np.random.default_rng(3)
    counts, literal = PairCounts(3), {}
    for _ in range(20):
        n = int(rng.integers(0, 6))
        centers, areas = rng.uniform(0, 50, (n, 2)), rng.integers(1, 100, n)
        classes = rng.integers(0, 3, n)
        patterns = pair_patterns(centers, areas, (50, 50))
        counts.update(classes, patterns)
        for k in range(n - 1):
            key = tuple(sorted((int(classes[k]), int(classes[k + 1]))))
            literal.setdefault(key, []).append(patterns[k])
    shares = counts.shares()
    assert shares.keys() == literal.keys()
    for key, rows in literal.items():
        np.testing.assert_allclose(shares[key], np.mean(rows, axis=0))
        assert counts.pairs[key] == len(rows)


def test_rare_pairs_are_left_out():
    counts = PairCounts(2)
    right_to_left = np.array([[True] + [False] * 5])
    for _ in range(3):
        counts.update(np.array([0, 0]), right_to_left)
    counts.update(np.array([1, 0]), right_to_left)
    assert counts.shares(min_pairs=3).keys() == {(0, 0)}
    assert counts.shares().keys() == {(0, 0), (0, 1)}
