from __future__ import annotations

import numpy as np

from recseg_d2.visualization.looks import LookTrace, draw_looks

SIZE = (40, 60)


def look(left, kept=True):
    mask = np.zeros(SIZE, bool)
    mask[10:30, left : left + 15] = True
    heat = np.zeros((20, 30))
    heat[10, left // 2 + 4] = 0.9
    box = np.array([0.5, (left + 7.5) / 60, 0.5, 0.25])
    return LookTrace(heat, box, mask, 0.75, kept)


def test_a_column_for_each_look_of_three_panels():
    image = np.full((*SIZE, 3), 128, np.uint8)
    truth = np.zeros(SIZE, int)
    truth[10:30, 5:20] = 1
    one = draw_looks(image, [look(5)], truth, side=120)
    two = draw_looks(image, [look(5), look(35, kept=False)], truth, side=120)
    none = draw_looks(image, [], truth, side=120)
    assert two.width > one.width
    assert two.height == one.height
    assert none.size[1] <= one.size[1]
    assert np.asarray(one)[..., 0].std() > 5


def test_looks_wrap():
    image = np.zeros((*SIZE, 3), np.uint8)
    wide = draw_looks(image, [look(5)] * 6, side=60, columns=8)
    narrow = draw_looks(image, [look(5)] * 6, side=60, columns=4)
    assert narrow.width < wide.width
    assert narrow.height > wide.height
