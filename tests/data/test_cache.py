from __future__ import annotations

from recseg_d2.data.cache import Cache


def test_values_are_made_once_while_they_fit():
    made = []

    def make(value):
        made.append(value)
        return value

    cache = Cache(lambda value: value * 2**20, megabytes=5)
    for _ in range(2):
        assert [cache.get(k, lambda k=k: make(k)) for k in (3, 4, 2, 1)] == [3, 4, 2, 1]
    # 3 and 2 take 5 MB; 4 does not fit beside them, and then 1 does not
    assert made == [3, 4, 2, 1, 4, 1]


def test_no_memory_keeps_nothing():
    cache = Cache(len, megabytes=0)
    assert [cache.get("a", lambda v=v: v) for v in ("x", "y")] == ["x", "y"]
