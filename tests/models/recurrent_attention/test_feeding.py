import math

import pytest
import torch

from recseg_d2.config import load_config, read_options
from recseg_d2.layers.boxes import window_corners
from recseg_d2.losses.targets import build_targets
from recseg_d2.models.recurrent_attention.box_iou import BoxIoU
from recseg_d2.models.recurrent_attention.feeding import Feeder, feeding_probability
from recseg_d2.models.recurrent_attention.options import (
    BoxIoUOptions,
    FeedingOptions,
    RecurrentAttentionOptions,
    WindowOptions,
)
from recseg_d2.models.recurrent_attention.windows import WindowDecoder

SIZE = (12, 16)


def targets(*images):
    """Boxes of each image, as (y1, y2, x1, x2)."""
    masks = []
    for boxes in images:
        mask = torch.zeros(len(boxes), *SIZE, dtype=torch.bool)
        for own, (y1, y2, x1, x2) in zip(mask, boxes, strict=True):
            own[y1:y2, x1:x2] = True
        masks.append(mask)
    classes = [torch.zeros(len(m)).long() for m in masks]
    return build_targets(masks, classes, SIZE, max_objects=9)


LEFT, RIGHT, DOT = (2, 8, 1, 5), (3, 9, 9, 14), (6, 7, 7, 8)


def feeder(batch, iteration=0, steps=3, padding_ratio=0.0, min_padding=0.0, **options):
    options = FeedingOptions(**{"masks": "always", "boxes": "always", **options})
    box_iou = BoxIoU(BoxIoUOptions(padding_ratio=padding_ratio, min_padding=min_padding))
    return Feeder(options, box_iou, batch, iteration, steps)


def decoder():
    return WindowDecoder(SIZE, (4, 4), WindowOptions(variance="unit", gamma="fixed"))


def window_at(*centres):
    """Windows of half the image at shares of it."""
    rows = [[2 * y - 1, 2 * x - 1, math.log(0.5), math.log(0.3)] for y, x in centres]
    return decoder()(torch.tensor(rows))


def logits(window):
    return decoder().box_logits(window, decoder().filters(window))


def test_eq_36_and_37_by_hand():
    paper = FeedingOptions()  # S = 10000, S2 = 2885, K = 3
    for iteration, step in ((0, 0), (10000, 0), (12885, 0), (20000, 4), (15770, 2)):
        gamma = 1 + math.log(1 + 3 * step)
        expected = min(gamma * math.exp(-(iteration - 10000) / 2885), 1)
        assert feeding_probability(paper, "masks", iteration, step) == pytest.approx(expected)
    assert feeding_probability(paper, "masks", 10**9, 19) == 0


def test_the_codes_halving_is_a_decay_too():
    code = FeedingOptions(decay=2000 / math.log(2))
    assert feeding_probability(code, "masks", 12000, 0) == pytest.approx(0.5)
    assert feeding_probability(FeedingOptions(base=0.4), "boxes", 0, 0) == pytest.approx(0.4)


@pytest.mark.parametrize(("fed", "other"), [("masks", "boxes"), ("boxes", "masks")])
def test_masks_and_boxes_are_fed_each_by_their_own_rule(fed, other):
    late = 10**9  # when a schedule has long come to its end
    always = FeedingOptions(**{fed: "always"})
    assert feeding_probability(always, fed, late, 0) == 1
    assert feeding_probability(always, other, late, 0) == 0
    assert feeding_probability(always, other, 0, 0) == 1
    assert feeding_probability(FeedingOptions(**{fed: "never"}), fed, 0, 0) == 0
    never = feeder(targets([LEFT]), **{fed: "never"})
    assert (never.feeds_masks, never.feeds_boxes) == (fed == "boxes", fed == "masks")


@pytest.mark.parametrize("data", ["kitti", "rosettes"])
def test_without_scheduled_sampling_masks_are_fed_for_ever_and_boxes_are_not(data, root):
    path = root / "projects" / "ris" / "configs" / f"{data}_no_scheduled_sampling.yaml"
    sampling = read_options(load_config(str(path)), RecurrentAttentionOptions).sampling
    late = 10**9
    assert feeding_probability(sampling, "masks", late, 0) == 1
    assert feeding_probability(sampling, "boxes", late, 0) == 0


def test_the_mask_that_overlaps_most_is_fed():
    batch = targets([LEFT, RIGHT], [RIGHT, LEFT, DOT])
    fed = feeder(batch, mask_noise=0.0)
    predicted = torch.zeros(2, *SIZE)
    predicted[:, 4:9, 8:13] = 0.7  # near RIGHT
    window = window_at((0.5, 0.5), (0.5, 0.5))
    result = fed.mask(window, None, predicted, 0)
    assert torch.equal(result[0], batch.masks[0, 1])
    assert torch.equal(result[1], batch.masks[1, 0])


def test_by_box_the_mask_does_not_matter():
    batch = targets([LEFT, RIGHT])
    fed = feeder(batch, overlap="box", mask_noise=0.0)
    window = window_at((0.4, 0.2))
    predicted = batch.masks[:, 1]
    assert torch.equal(fed.mask(window, logits(window), predicted, 0), batch.masks[:, 0])


def test_mask_noise_stays_in_its_range():
    batch = targets([LEFT])
    torch.manual_seed(0)
    window = window_at((0.5, 0.5))
    result = feeder(batch, mask_noise=0.3).mask(window, None, torch.zeros(1, *SIZE), 0)
    inside = result[batch.masks[:, 0] > 0]
    assert 0.7 <= inside.min() < 0.75 < 0.95 < inside.max() <= 1
    assert result[batch.masks[:, 0] == 0].max() == 0


def test_without_reuse_an_object_is_fed_once():
    batch = targets([LEFT, RIGHT])
    predicted = batch.masks[:, 0]
    window = window_at((0.5, 0.5))
    again = feeder(batch, mask_noise=0.0)
    once = feeder(batch, mask_noise=0.0, reuse=False)
    repeated = [again.mask(window, None, predicted, t) for t in range(3)]
    assert all(torch.equal(x, predicted) for x in repeated)
    first, second, third = (once.mask(window, None, predicted * 0.9, t) for t in range(3))
    assert torch.equal(first, batch.masks[:, 0])
    assert torch.equal(second, batch.masks[:, 1])
    assert torch.equal(third, predicted * 0.9)  # none is left


def test_in_a_fixed_order_each_step_is_fed_its_own_object():
    batch, window = targets([LEFT, RIGHT], [RIGHT]), window_at((0.5, 0.8), (0.5, 0.8))
    options = FeedingOptions(masks="always", boxes="always", mask_noise=0.0)
    padding = BoxIoU(BoxIoUOptions(padding_ratio=0.0))
    fed = Feeder(options, padding, batch, 0, 3, in_order=True)
    predicted = torch.zeros(2, *SIZE)
    results = [fed.mask(window, None, predicted, t) for t in range(3)]
    assert torch.equal(results[0], batch.masks[:, 0])
    assert torch.equal(results[1][0], batch.masks[0, 1])
    assert torch.equal(results[1][1], predicted[1])  # it has one object
    assert torch.equal(results[2], predicted)


def test_images_without_objects_keep_their_predictions():
    batch = targets([], [LEFT])
    fed, window = feeder(batch), window_at((0.5, 0.5), (0.5, 0.5))
    predicted = torch.rand(2, *SIZE)
    assert torch.equal(fed.mask(window, None, predicted, 0)[0], predicted[0])
    moved = fed.window(decoder(), window, logits(window), 0)
    assert torch.equal(moved.centre[0], window.centre[0])
    assert not torch.equal(moved.centre[1], window.centre[1])


def test_the_box_that_overlaps_most_is_fed_with_jitter():
    batch, window = targets([LEFT, RIGHT]), window_at((0.5, 0.8))
    torch.manual_seed(0)
    centres, sizes = [], []
    for _ in range(200):
        fed = feeder(batch, padding_ratio=0.2)
        moved = fed.window(decoder(), window, logits(window), 0)
        centres.append(moved.centre[0])
        sizes.append(moved.size[0])
    centres, sizes = torch.stack(centres), torch.stack(sizes)
    # RIGHT has rows 3 to 8 and columns 9 to 13: 6 x 5 pixels around 5.5 and 11
    shift = (centres - torch.tensor([5.5, 11.0])) / torch.tensor([6.0, 5.0])
    assert shift.abs().max() <= 0.05 + 1e-6
    assert shift.abs().max() > 0.045
    padding = ((sizes + 1) / torch.tensor([6.0, 5.0]) - 1) / 2
    assert padding.min() >= 0.1 - 1e-6
    assert padding.max() <= 0.3 + 1e-6
    assert padding.max() - padding.min() > 0.18
    torch.testing.assert_close(padding[:, 0], padding[:, 1])


@pytest.mark.parametrize("padding", [(0.2, 0.0), (0.2, 2.5), (0.0, 0.0), (0.5, 1.0)])
def test_fed_windows_are_padded_as_the_boxes_that_predictions_are_compared_with(padding):
    ratio, least = padding
    batch, window = targets([LEFT, RIGHT]), window_at((0.5, 0.8))
    own = {"padding_ratio": ratio, "min_padding": least}
    fed = feeder(batch, box_shift=0.0, box_padding_noise=0.0, **own)
    moved = fed.window(decoder(), window, logits(window), 0)
    target = fed.box_iou.pad(batch).corners[:, 1]
    torch.testing.assert_close(window_corners(moved.centre, moved.size), target)
    grown = [max(ratio * side, least) for side in (5, 6)]  # RIGHT is 5 wide and 6 high
    expected = [9 - grown[0], 3 - grown[1], 14 + grown[0], 9 + grown[1]]
    assert target[0].tolist() == pytest.approx(expected)


def test_a_fed_box_of_one_pixel_has_a_size():
    window = window_at((0.5, 0.5))
    moved = feeder(targets([DOT])).window(decoder(), window, logits(window), 0)
    assert moved.size.min() >= 1


def test_lots_are_drawn_for_each_image_and_step():
    torch.manual_seed(0)
    batch = targets(*[[LEFT]] * 400)
    share = feeder(batch, masks="schedule", mask_start=0.0, iteration=2885, step_gain=0.0, steps=4)
    lots = share._mask_lots.float()
    assert lots.shape == (400, 4)
    assert lots.mean(0).tolist() == pytest.approx([math.exp(-1)] * 4, abs=0.08)
    assert 0.02 < (lots[:, 0] * lots[:, 1]).mean() < 0.25  # one step's lot is not another's


def test_the_choice_has_no_gradient():
    window = window_at((0.5, 0.5))
    predicted = torch.rand(1, *SIZE, requires_grad=True)
    fed = feeder(targets([LEFT])).mask(window, None, predicted, 0)
    assert torch.autograd.grad(fed.sum(), predicted)[0].abs().sum() == 0
