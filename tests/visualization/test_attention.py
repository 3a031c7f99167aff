"""The attention figure: which panels there are, and what is in them."""

from __future__ import annotations

import numpy as np
import pytest

from recseg_d2.visualization import steps as module
from recseg_d2.visualization.maps import (
    draw_angles,
    draw_foreground,
    draw_heat,
    draw_rectangle,
    wheel,
)
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.steps import AttentionTrace, draw_attention

IMAGE = np.full((20, 30, 3), 100, dtype=np.uint8)


def trace_of(steps=3, scores=(0.9, 0.8, 0.2), **without):
    rng = np.random.default_rng(0)
    masks = np.zeros((steps, 10, 15))
    for t in range(steps):
        masks[t, 2 * t : 2 * t + 2] = 0.9
    maps = {
        "glimpses": rng.random((steps, 2, 3, 4)),
        "box_maps": rng.random((steps, 10, 15)),
        "box_params": np.tile([5.0, 7.0, 4.0, 6.0], (steps, 1)),
        "foreground": rng.random((1, 10, 15)),
        "angles": rng.random((8, 10, 15)),
    }
    return AttentionTrace(masks, np.array(scores[:steps]), **{**maps, **without})


@pytest.fixture
def captions(monkeypatch):
    """Draws, and gives the captions in the rows of the figure."""

    def draw(*args, **options):
        seen = []

        def lay_out(rows):
            seen.extend([None if p is None else p.caption for p in row] for row in rows)
            return original(rows)

        original = module.lay_out
        monkeypatch.setattr(module, "lay_out", lay_out)
        draw_attention(*args, **options)
        return seen

    return draw


def test_rows_are_the_papers_and_the_stop_is_shown(captions):
    truth = np.zeros((20, 30), dtype=np.int32)
    truth[:4] = 1
    assert captions(IMAGE, trace_of(), truth) == [
        ["input", "glimpse 2", "glimpse 2", "glimpse 2"],
        ["truth: 1 object", "box", "box", "box"],
        ["foreground", "step 1: 0.90", "step 2: 0.80", "step 3: 0.20, stop"],
        ["angles", "1 object so far", "2 objects so far", "2 objects so far"],
    ]


def test_steps_after_the_stop_are_left_out(captions):
    rows = captions(IMAGE, trace_of(scores=(0.3, 0.8, 0.2)))
    assert [row[1] for row in rows][2:] == ["step 1: 0.30, stop", "0 objects so far"]
    assert {len(row) for row in rows} == {2}


def test_every_glimpse_has_a_row(captions):
    rows = captions(IMAGE, trace_of(), all_glimpses=True)
    assert [row[1] for row in rows[:3]] == ["glimpse 1", "glimpse 2", "box"]


def test_what_a_model_lacks_has_no_panel(captions):
    nothing = dict.fromkeys(("glimpses", "box_maps", "box_params", "foreground", "angles"))
    rows = captions(IMAGE, trace_of(**nothing))
    assert rows[0] == ["input", "step 1: 0.90", "step 2: 0.80", "step 3: 0.20, stop"]
    assert [row[0] for row in rows[1:]] == [None]


def test_no_step_at_all(captions):
    assert captions(IMAGE, trace_of(steps=0))[0] == ["input", "no step"]


def test_long_sequences_wrap(captions):
    rows = captions(IMAGE, trace_of(), columns=3)
    assert [row[0] for row in rows] == ["input", "foreground", "angles", None] + [None] * 4
    assert rows[4] == [None, "glimpse 2"]
    with pytest.raises(ValueError, match="columns is 1"):
        draw_attention(IMAGE, trace_of(), columns=1)


def test_classes_instead_of_one_foreground(captions):
    rows = captions(IMAGE, trace_of(foreground=np.full((3, 10, 15), 1 / 3)))
    assert rows[1][0] == "classes"


def test_heat_is_strongest_at_the_largest_value():
    values = np.zeros((2, 3))
    values[0, 2] = 0.25
    drawn = draw_heat(IMAGE, values).astype(int)
    warmth = drawn[..., 0] - drawn[..., 2]
    assert np.unravel_index(warmth.argmax(), warmth.shape)[0] < 10
    assert warmth[0, -1] == warmth.max() > 100
    assert warmth[-1, 0] == 0
    assert (drawn[-1, 0] == 75).all()  # dimmed grey
    assert draw_heat(IMAGE, np.zeros((2, 3))).max() == 75


def test_a_box_is_drawn_at_its_edges_and_cut_at_the_border():
    color = instance_colors(1)[0]
    drawn = draw_rectangle(IMAGE, np.array([0.5, 0.5, 0.5, 0.4]), color)
    ys, xs = np.nonzero((drawn == color).all(axis=-1))
    assert (ys.min(), ys.max(), xs.min(), xs.max()) == (5, 15, 9, 21)
    assert not (drawn[8:12, 12:18] == color).all(axis=-1).any()
    outside = draw_rectangle(IMAGE, np.array([9.0, 9.0, 0.1, 0.1]), color)
    assert (outside == IMAGE).all()
    huge = draw_rectangle(IMAGE, np.array([0.5, 0.5, 1e9, 1e9]), color)
    assert (huge == IMAGE).all()


def test_box_pixels_are_those_that_the_window_spans():
    """A window of centre 4 and size 2 spans pixels 3 to 5: the edges 3 and 6 of 10."""
    params = np.array([[4.0, 4.0, 2.0, 2.0]])
    trace = AttentionTrace(np.zeros((1, 10, 10)), np.ones(1), box_params=params)
    image = np.full((100, 100, 3), 100, dtype=np.uint8)
    drawn = module._draw_box(image, trace, 0, instance_colors(1)[0])
    ys, _ = np.nonzero((drawn != 100).any(axis=-1))
    assert (ys.min(), ys.max()) == (30, 60)


def test_foreground_and_angles_have_their_colours():
    foreground = np.zeros((1, 2, 2))
    foreground[0, 0, 0] = 1.0
    assert draw_foreground(foreground, (2, 2))[0, 0].tolist() == [255] * 3
    classes = np.zeros((3, 1, 1))
    classes[2] = 1.0
    assert draw_foreground(classes, (1, 1))[0, 0].tolist() == instance_colors(2)[1].tolist()
    angles = np.zeros((8, 2, 2))
    angles[4] = 1.0
    drawn = draw_angles(angles, foreground, (2, 2))
    assert drawn[0, 0].tolist() == [0, 255, 255]  # opposite of red
    assert drawn[1, 1].tolist() == [0, 0, 0]
    semantic = np.stack([1 - foreground[0], foreground[0]])
    assert (draw_angles(angles, semantic, (2, 2)) == drawn).all()
    assert wheel(8)[0].tolist() == [255, 0, 0]
