import pytest
import torch

from recseg_d2.layers.small_fpn import SmallFPN, SmallFPNOptions


@pytest.mark.parametrize("stride", [4, 8])
@pytest.mark.parametrize("size", [(40, 56), (44, 60), (8, 8)])
def test_sides_that_are_multiples_of_the_stride_give_whole_cells(stride, size):
    size = tuple(-(-side // stride) * stride for side in size)
    model = SmallFPN(SmallFPNOptions((8, 8, 16, 16), (0, 1, 0, 1), 16, stride))
    features = model(torch.randn(1, 3, *size))
    assert features.shape == (1, 16, size[0] // stride, size[1] // stride)


def test_coarse_levels_reach_far():
    model = SmallFPN(SmallFPNOptions((8,) * 5, (0,) * 5, 8, 4)).eval()
    image = torch.randn(1, 3, 64, 64, requires_grad=True)
    model(image)[0, :, 8, 8].sum().backward()
    rows = image.grad.abs().sum((0, 1, 3)).nonzero()[:, 0]
    assert rows.max() - rows.min() > 32


def test_an_image_does_not_depend_on_the_others_of_its_batch():
    model = SmallFPN(SmallFPNOptions((8, 8), (0, 1), 8, 4))
    images = torch.randn(3, 3, 16, 16)
    torch.testing.assert_close(model(images)[1:2], model(images[1:2]))


@pytest.mark.parametrize(
    ("widths", "blocks", "stride", "message"),
    [
        ((8, 12), (0, 0), 4, r"widths is \(8, 12\); expected multiples of 8"),
        ((8, 8), (0,), 4, "blocks is .*one number for each of 2 widths"),
        ((8, 8), (0, 0), 8, "stride is 8"),
    ],
)
def test_wrong_arguments_are_refused(widths, blocks, stride, message):
    with pytest.raises(ValueError, match=message):
        SmallFPNOptions(widths, blocks, 8, stride)
