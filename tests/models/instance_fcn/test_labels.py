import pytest
import torch
from reference import instance_fcn_literal as literal

from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.models.instance_fcn.geometry import WindowGeometry, dense_windows
from recseg_d2.models.instance_fcn.labels import (
    IGNORED,
    NEGATIVE,
    NO_TARGET,
    LabelRules,
    WindowSample,
    label_windows,
    mask_targets,
    sample_windows,
)

RULES = LabelRules()


def random_scene(seed, size=(61, 75), objects=6):
    """Overlapping rectangles and discs of many sizes; some touch the border."""
    generator = torch.Generator().manual_seed(seed)
    y, x = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    masks = []
    for n in range(objects):
        middle = torch.rand(2, generator=generator) * torch.tensor(size)
        half = 3 + torch.rand(2, generator=generator) * 14
        if n % 2:
            mask = ((y - middle[0]).abs() <= half[0]) & ((x - middle[1]).abs() <= half[1])
        else:
            mask = (y - middle[0]) ** 2 + (x - middle[1]) ** 2 <= half[0] ** 2
        masks.append(mask)
    return torch.stack(masks)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(("stride", "cells"), [(4, 9), (4, 10), (2, 15)])
def test_labels_are_those_of_a_brute_force_labeller(seed, stride, cells):
    masks = random_scene(seed)
    geometry = WindowGeometry(stride, cells)
    grid = tuple(-(-side // stride) for side in masks.shape[1:])
    wide = LabelRules(positive_octaves=0.5, positive_shift=0.11, negative_shift=0.2)
    for rules in (RULES, wide):
        found = label_windows(masks_to_boxes(masks), grid, geometry, rules)
        assert found.tolist() == literal.label_windows(masks, stride, cells, rules)


def test_the_papers_window_by_hand():
    """21 cells of 8 pixels: 96 pixels fit, 12 pixels off are positive, 24 and more are negative."""
    geometry = WindowGeometry(8, 21)
    box = torch.tensor([[204.0 - 48, 204 - 30, 204 + 48, 204 + 30]])  # centre of cell (25, 25)
    labels = label_windows(box, (50, 50), geometry, RULES)
    row = labels[25, 20:31].tolist()
    assert row == [NEGATIVE] * 3 + [IGNORED, 0, 0, 0, IGNORED] + [NEGATIVE] * 3
    assert (labels >= 0).sum() == 9
    assert (labels == IGNORED).sum() == 16


@pytest.mark.parametrize(
    ("side", "label"),
    [(96, 0), (117, 0), (79, 0), (120, IGNORED), (60, IGNORED), (193, NEGATIVE), (47, NEGATIVE)],
)
def test_sizes_by_hand(side, label):
    """96 pixels times 2^0.3 is 118.2, and 78 the other way; an octave is 192 and 48."""
    box = torch.tensor([[100.0, 100.0, 100 + side, 110.0]]) - side / 2
    box += torch.tensor([4.0, 4.0, 4.0, 4.0])
    middle = (box[0, :2] + box[0, 2:]) / 2
    column, row = (middle / 8).long().tolist()
    labels = label_windows(box, (40, 40), WindowGeometry(8, 21), RULES)
    assert labels[row, column] == label


def test_every_size_fits_one_of_the_papers_scales():
    """With DeepMask's 0.25 octaves, sizes between two scales fit neither."""
    scales = torch.tensor([600 * 1.5**i for i in range(-4, 2)])
    sides = torch.exp2(torch.linspace(0, 3, 200)) * 96 * 600 / scales[-1] * 1.1
    apart = (sides[:, None] * scales / 600 / 96).log2().abs().amin(1)
    inside = sides < 96 * 600 / scales[0]
    assert (apart[inside] <= RULES.positive_octaves).all()
    assert (apart[inside] > 0.25).any()


def test_without_objects_all_is_negative():
    labels = label_windows(torch.zeros(0, 4), (3, 4), WindowGeometry(4, 9), RULES)
    assert labels.tolist() == [[NEGATIVE] * 4] * 3


def test_rules_that_contradict_themselves_are_refused():
    with pytest.raises(ValueError, match=r"positive_shift 0\.2"):
        LabelRules(positive_shift=0.2)
    with pytest.raises(ValueError, match=r"positive_octaves 2\.0"):
        LabelRules(positive_octaves=2.0)


def labels_with(positive, negative, ignored):
    values = [3] * positive + [NEGATIVE] * negative + [IGNORED] * ignored
    return torch.tensor(values).view(-1, 10)


def test_sampling_is_one_to_one_where_there_are_enough():
    torch.manual_seed(0)
    labels = labels_with(positive=200, negative=700, ignored=100)
    sample = sample_windows(labels, 256, 0.5)
    assert len(sample.objects) == 128
    assert (sample.objects == 3).all()
    drawn = labels[sample.cells[:, 0], sample.cells[:, 1]]
    assert (drawn[:128] == 3).all()
    assert (drawn[128:] == NEGATIVE).all()
    assert len(sample.cells.unique(dim=0)) == 256


def test_negatives_fill_up_and_nothing_is_drawn_twice():
    labels = labels_with(positive=3, negative=37, ignored=10)
    sample = sample_windows(labels, 256, 0.5)
    assert len(sample.objects) == 3
    assert len(sample.cells) == 40


def test_sampling_is_random_and_repeatable():
    labels = labels_with(positive=200, negative=700, ignored=100)
    draws = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        draws.append(sample_windows(labels, 20, 0.5).cells)
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


@pytest.mark.parametrize(("stride", "cells", "mask_side"), [(4, 9, 9), (4, 10, 10), (4, 6, 12)])
def test_mask_targets_are_covered_shares(stride, cells, mask_side):
    masks = random_scene(1)
    geometry = WindowGeometry(stride, cells)
    places = [(0, 0, 4), (7, 9, 1), (15, 18, 5), (3, 12, 4)]
    cells_ = torch.tensor([(r, c) for r, c, _ in places] + [(1, 1)])
    sample = WindowSample(cells_, torch.tensor([n for _, _, n in places]))
    soft = mask_targets(masks, sample, geometry, mask_side, soft=True)
    expected = torch.tensor(
        [literal.mask_target(masks[n], stride, cells, r, c, mask_side) for r, c, n in places]
    )
    torch.testing.assert_close(soft, expected)
    hard = mask_targets(masks, sample, geometry, mask_side)
    known = expected >= 0
    assert torch.equal(hard[known], (expected[known] >= 0.5).float())
    assert (hard[~known] == NO_TARGET).all()
    assert (~known).any()


def test_no_positive_no_target():
    sample = WindowSample(torch.tensor([[1, 1]]), torch.zeros(0, dtype=torch.int64))
    geometry = WindowGeometry(4, 9)
    assert mask_targets(random_scene(0), sample, geometry, 9).shape == (0, 9, 9)
    empty = torch.zeros(0, 12, 12, dtype=torch.bool)
    assert mask_targets(empty, sample, geometry, 9).shape == (0, 9, 9)


@pytest.mark.parametrize("cells", [9, 10])
def test_boxes_and_centres_agree(cells):
    geometry = WindowGeometry(4, cells)
    windows = dense_windows(2, 3, 5, torch.device("cpu"))
    boxes = geometry.boxes(windows)
    middles = (boxes[:, :2] + boxes[:, 2:]) / 2
    centres = geometry.centres(3, 5, torch.device("cpu")).reshape(-1, 2)
    torch.testing.assert_close(middles, centres.repeat(2, 1))
    assert (boxes[:, 2:] - boxes[:, :2] == geometry.side).all()
    assert windows[0].tolist() == [0, 0, 0]
    assert windows[5].tolist() == [0, 1, 0]
    assert boxes[6].tolist()[0] == 4 * (1 - cells // 2)
