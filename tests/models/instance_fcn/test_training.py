import pytest
import torch
import torch.nn.functional as F
from reference import instance_fcn_literal as literal
from torch import nn

from recseg_d2.errors import OptionError
from recseg_d2.layers.assembling import OUTSIDE_LOGIT
from recseg_d2.models.instance_fcn.network import InstanceFCN
from recseg_d2.models.instance_fcn.options import (
    HeadOptions,
    InstanceFCNOptions,
    LabelRules,
    LossWeights,
    SamplingOptions,
)
from recseg_d2.models.instance_fcn.training import check_crop_size, crop_windows, proposal_losses

STRIDE, CELLS = 4, 7
RULES = LabelRules(positive_shift=0.15, negative_shift=0.2, positive_octaves=0.5)


def training_options(mask_weight=1.0, **sampling):
    weights = LossWeights(mask=mask_weight)
    return InstanceFCNOptions(
        labels=RULES, sampling=SamplingOptions(**sampling), loss_weights=weights
    )


def small_network(**options):
    torch.manual_seed(0)
    backbone = nn.Conv2d(3, 4, STRIDE, stride=STRIDE)
    return InstanceFCN(backbone, 4, STRIDE, HeadOptions(branch_width=8, window=CELLS, **options))


def square(size, top, left, side):
    mask = torch.zeros(1, *size, dtype=torch.bool)
    mask[:, top : top + side, left : left + side] = True
    return mask


def test_losses_of_all_windows_are_the_literal_ones():
    """With as many windows as there are, nothing is left to chance."""
    model = small_network(parts=3)
    masks = torch.cat([square((40, 44), 4, 4, 16), square((40, 44), 18, 20, 14)])
    image = torch.randn(3, 40, 44)
    options = training_options(num_windows=10000, soft_targets=True, mask_weight=2.0)
    losses = proposal_losses(model, [image], [masks], options)

    maps = model(image[None])
    labels = torch.tensor(literal.label_windows(masks, STRIDE, CELLS, RULES))
    used = labels >= -1
    scores = maps.objectness[0, 0][used]
    expected = F.binary_cross_entropy_with_logits(scores, (labels[used] >= 0).float())
    torch.testing.assert_close(losses["loss_objectness"], expected)

    windows = F.pad((labels >= 0).nonzero(), (1, 0))
    logits = literal.assemble(maps.mask_maps, windows, CELLS, OUTSIDE_LOGIT)
    targets = torch.tensor(
        [
            literal.mask_target(masks[labels[r, c]], STRIDE, CELLS, r, c, CELLS)
            for _, r, c in windows.tolist()
        ]
    )
    known = targets >= 0
    assert known.any()
    expected = 2 * F.binary_cross_entropy_with_logits(logits[known], targets[known])
    torch.testing.assert_close(losses["loss_mask"], expected)


def test_images_of_different_sizes_in_one_batch():
    """The loss of the batch is that of its windows, however images are grouped."""
    model = small_network(parts=3)
    sizes = [(40, 44), (24, 28), (40, 44)]
    images = [torch.randn(3, *size) for size in sizes]
    masks = [square(sizes[0], 5, 8, 16), square(sizes[1], 4, 4, 16), square(sizes[2], 20, 12, 15)]
    options = training_options(num_windows=10000)
    together = proposal_losses(model, images, masks, options)
    other_order = proposal_losses(model, images[::-1], masks[::-1], options)
    torch.testing.assert_close(together, other_order)


@pytest.mark.parametrize("head", ["assembling", "deepmask"])
@pytest.mark.parametrize("crop_size", [0, 32])
def test_every_parameter_learns(head, crop_size):
    model = small_network() if head == "assembling" else deepmask()
    options = training_options(num_windows=12, crop_size=crop_size)
    losses = proposal_losses(model, [torch.randn(3, 40, 44)], [square((40, 44), 4, 4, 16)], options)
    sum(losses.values()).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.abs().sum() > 0, name


def deepmask():
    torch.manual_seed(0)
    options = HeadOptions("deepmask", window=6, branch_width=8, mask_side=12, score_width=9)
    return InstanceFCN(nn.Conv2d(3, 4, STRIDE, stride=STRIDE), 4, STRIDE, options)


def test_crops_give_what_the_whole_image_gives_where_nothing_is_cut_off():
    """The network sees 3x3 cells; a crop with a cell more than the window on each side has all."""
    model = small_network(parts=3)
    mask, image = square((64, 64), 24, 24, 16), torch.randn(3, 64, 64)
    values = []
    for crop_size in (0, (CELLS + 3) * STRIDE):
        torch.manual_seed(1)
        options = training_options(num_windows=40, crop_size=crop_size)
        values.append(proposal_losses(model, [image], [mask], options)["loss_mask"])
    torch.testing.assert_close(values[0], values[1])


def test_crops_are_centred_at_the_window_and_zero_outside():
    image = torch.arange(1.0, 65).view(1, 1, 8, 8)
    crops = crop_windows(image, torch.tensor([[0, 1, 1], [0, 0, 3]]), stride=2, cells=2)
    assert torch.equal(crops[0, 0], image[0, 0, :4, :4])
    assert torch.equal(crops[1, 0, 2:], image[0, 0, :2, 4:])
    assert crops[1, 0, :2].abs().sum() == 0


@pytest.mark.parametrize("crop_size", [24, 30])
def test_crops_that_do_not_fit_are_refused(crop_size):
    check_crop_size(small_network(), SamplingOptions(crop_size=0))
    check_crop_size(small_network(), SamplingOptions(crop_size=28))
    with pytest.raises(OptionError, match=rf"crop_size is {crop_size}; .*stride 4 .* 28 on"):
        check_crop_size(small_network(), SamplingOptions(crop_size=crop_size))


def test_images_without_objects():
    model = small_network()
    empty = torch.zeros(0, 40, 44, dtype=torch.bool)
    losses = proposal_losses(model, [torch.randn(3, 40, 44)], [empty], InstanceFCNOptions())
    assert losses["loss_mask"] == 0
    assert losses["loss_objectness"] > 0
    sum(losses.values()).backward()
    gone = torch.zeros(1, 40, 44, dtype=torch.bool)  # moved out of the frame
    losses = proposal_losses(model, [torch.randn(3, 40, 44)], [gone], InstanceFCNOptions())
    assert losses["loss_mask"] == 0


def test_it_learns_one_image():
    torch.manual_seed(0)
    backbone = nn.Sequential(nn.Conv2d(3, 16, STRIDE, stride=STRIDE), nn.ReLU())
    model = InstanceFCN(backbone, 16, STRIDE, HeadOptions(branch_width=16, window=CELLS, parts=3))
    mask = square((40, 44), 12, 12, 16)
    image = mask.float() * 2 - 1 + torch.zeros(3, 1, 1)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    options = training_options()
    for _ in range(60):
        losses = proposal_losses(model, [image], [mask], options)
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    assert losses["loss_mask"] < 0.1
    maps = model(image[None])
    found = model.mask_logits(maps, torch.tensor([[0, 5, 5]]))[0] > 0
    target = torch.zeros(CELLS, CELLS, dtype=torch.bool)
    target[1:5, 1:5] = True
    assert torch.equal(found, target)
