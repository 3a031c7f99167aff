import math

import pytest
import torch
from torch.autograd import gradcheck

from recseg_d2.layers.boxes import fill_corners, window_corners
from recseg_d2.layers.matching import soft_iou_matrix
from recseg_d2.models.recurrent_attention.options import WindowOptions
from recseg_d2.models.recurrent_attention.windows import WindowDecoder

IMAGE, PATCH = (40, 60), (8, 4)


def decoder(**options):
    return WindowDecoder(IMAGE, PATCH, WindowOptions(**options)).double()


def raw(*values):
    return torch.tensor([values], dtype=torch.float64)


def test_eq_6_to_10_by_hand():
    window = decoder()(raw(0.5, -1.0, math.log(0.25), math.log(0.5), 0.1, -0.2, math.log(3.0)))
    assert window.centre.tolist() == [[30.0, 0.0]]  # (g + 1) / 2 of 40 and 60
    torch.testing.assert_close(window.size, raw(10.0, 30.0))
    assert window.log_variance.tolist() == [[0.1, -0.2]]
    assert [float(g) for g in (window.patch_gain, window.mask_gain, window.box_gain)] == [
        1.0, pytest.approx(3.0), pytest.approx(3.0),
    ]  # fmt: skip


def test_the_unit_of_sizes():
    window = decoder(unit_size=0.5)(raw(0, 0, 0, math.log(2.0), 0, 0, 0))
    assert window.size.tolist() == [[pytest.approx(20.0), pytest.approx(60.0)]]


@pytest.mark.parametrize(
    ("options", "count"),
    [
        ({}, 7),
        ({"variance": "box"}, 5),
        ({"variance": "unit", "box_gamma": "predicted", "patch_gamma": True}, 7),
        ({"gamma": "fixed"}, 6),
        ({"gamma": "fixed", "box_gamma": "predicted"}, 7),
        ({"variance": "box", "gamma": "area"}, 4),
    ],
)
def test_what_is_not_predicted_has_no_input(options, count):
    assert decoder(**options).num_inputs == count


def test_the_codes_variance_is_the_sampling_stride():
    window = decoder(variance="box", gamma="fixed")(raw(0, 0, math.log(0.5), math.log(0.2)))
    expected = torch.log(torch.tensor([[20 / 8, 12 / 4]], dtype=torch.float64))
    torch.testing.assert_close(window.log_variance, expected)
    assert float(window.mask_gain) == pytest.approx(math.exp(2.0))
    assert float(window.box_gain) == pytest.approx(math.exp(2.0))


def test_bounded_variance():
    bounded = decoder(min_variance=0.5)(raw(0, 0, 0, 0, -9.0, 9.0, 0))
    assert bounded.log_variance.tolist() == [[pytest.approx(math.log(0.5)), 9.0]]


def test_a_fixed_gain_of_masks_leaves_boxes_their_own():
    windows = decoder(variance="unit", gamma="fixed", box_gamma="predicted")
    window = windows(raw(0, 0, 0, 0, 0.7))
    gains = [float(g.log()) for g in (window.patch_gain, window.mask_gain, window.box_gain)]
    assert gains == pytest.approx([0.0, 2.0, 0.7])
    moved = windows.move(window, raw(1, 1), raw(9, 9), torch.tensor([True]))
    assert torch.equal(moved.box_gain, window.box_gain)


def test_separate_gains_are_of_patch_box_and_mask():
    window = decoder(variance="unit", box_gamma="predicted", patch_gamma=True)(
        raw(0, 0, 0, 0, 0.1, 0.2, 0.3)
    )
    gains = [float(g.log()) for g in (window.patch_gain, window.box_gain, window.mask_gain)]
    assert gains == pytest.approx([0.1, 0.2, 0.3])
    assert window.log_variance.tolist() == [[0.0, 0.0]]


def best_box_iou(windows, side):
    """Largest soft IoU of a square box in the middle with its own map, over its predicted gain."""
    centre, size = torch.tensor([[112.0, 112.0]]), torch.tensor([[side - 1.0, side - 1.0]])
    target = fill_corners(window_corners(centre, size)[:, None], (224, 224))
    found = []
    for log_gain in torch.arange(0.0, 8.0, 0.25):
        share = math.log(side / 224)
        window = windows(torch.tensor([[0.0, 0.0, share, share, float(log_gain)]]))
        moved = windows.move(window, centre, size, torch.tensor([True]))
        boxes = windows.box_logits(moved, windows.filters(moved)).sigmoid()
        found.append(float(soft_iou_matrix(boxes[:, None], target)))
    return max(found)


@pytest.mark.parametrize("side", [60, 80, 100, 160])
def test_a_gain_of_their_own_fits_boxes_of_every_size(side):
    """A fixed gain, shared with masks, is at most right for boxes of one size."""
    own = WindowOptions(variance="box", gamma="fixed", box_gamma="predicted")
    assert best_box_iou(WindowDecoder((224, 224), (48, 48), own), side) > 0.85


@pytest.mark.parametrize("share", [0.2, 0.4, 0.8])
def test_area_gain_gives_flat_patches_the_same_level_in_every_window(share):
    options = WindowOptions(variance="box", gamma="area", log_gamma=math.log(9.0))
    windows = WindowDecoder(IMAGE, (20, 30), options).double()
    window = windows(raw(0, 0, math.log(share), math.log(share)))
    logits = windows.box_logits(window, windows.filters(window))
    assert logits[0, 20, 30].item() == pytest.approx(9.0 - 5.0, abs=0.1)
    assert logits[0, 0, 0].item() == pytest.approx(-5.0, abs=0.1)


def test_fed_boxes_keep_what_was_predicted_beside_them():
    where = torch.tensor([True])
    centre, size = raw(5.0, 6.0), raw(7.0, 11.0)
    predicted = decoder()
    window = predicted(raw(0, 0, 0, 0, 0.4, 0.5, 0.6))
    moved = predicted.move(window, centre, size, where)
    assert torch.equal(moved.centre, centre)
    assert torch.equal(moved.size, size)
    assert torch.equal(moved.log_variance, window.log_variance)
    assert torch.equal(moved.mask_gain, window.mask_gain)
    derived = decoder(variance="box", gamma="area")
    moved = derived.move(derived(raw(0, 0, 0, 0)), centre, size, where)
    torch.testing.assert_close(moved.log_variance, torch.log(raw(7 / 8, 11 / 4)))
    torch.testing.assert_close(moved.mask_gain, math.exp(2.0) * raw(8 / 8 * 12 / 4)[0])


def test_only_the_chosen_images_are_fed():
    windows = decoder(gamma="fixed", variance="unit")
    window = windows(torch.zeros(2, 4, dtype=torch.float64))
    moved = windows.move(window, window.centre + 1, window.size + 1, torch.tensor([False, True]))
    assert torch.equal(moved.centre[0], window.centre[0])
    assert torch.equal(moved.centre[1], window.centre[1] + 1)


def test_the_whole_image():
    window = decoder().whole_image(torch.zeros(1, dtype=torch.float64), batch=2)
    assert window.centre.tolist() == [[19.5, 29.5]] * 2
    assert window.size.tolist() == [[39.0, 59.0]] * 2


def test_a_box_outside_of_the_image_is_beta_everywhere():
    windows = decoder(beta=3.0)
    window = windows(raw(9.0, 9.0, -3.0, -3.0, 0, 0, 0))
    assert (windows.box_logits(window, windows.filters(window)) == -3.0).all()


def test_flat_level_of_an_area_gain_is_the_heat():
    windows = decoder(variance="box", gamma="area", log_gamma=math.log(10.0))
    window = windows(raw(0.3, 0, -1.0, -2.0))
    level = windows.flat_level(window, torch.full((1, *PATCH), 0.7, dtype=torch.float64))
    torch.testing.assert_close(level, torch.full_like(level, 2.0).sigmoid())


def test_gradients():
    windows = decoder()
    values = raw(0.1, -0.3, -0.8, -1.1, 0.2, 0.3, 0.5).requires_grad_()

    def boxes(values):
        window = windows(values)
        return windows.box_logits(window, windows.filters(window))[:, ::7, ::7]

    assert gradcheck(boxes, (values,))
