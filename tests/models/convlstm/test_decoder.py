import pytest
import torch
from reference.rsis_literal import literal_decode

from recseg_d2.models.convlstm.decoder import CODE_WIDTHS, PAPER_WIDTHS, ConvLSTMDecoder


def make(levels=3, **options):
    torch.manual_seed(0)
    widths = (8, 8, 4, 4, 2)[:levels]
    feature_widths = (7, 6, 5, 4, 3)[:levels]
    decoder = ConvLSTMDecoder(feature_widths, widths, **options).double()
    sizes = [(2 * 2**i, 3 * 2**i) for i in range(levels)]
    features = [
        torch.randn(2, w, *s, dtype=torch.float64, requires_grad=True)
        for w, s in zip(feature_widths, sizes, strict=True)
    ]
    return decoder, features, (sizes[-1][0] * 2, sizes[-1][1] * 2)


@pytest.mark.parametrize("skip_mode", ["concat", "sum", "mul", "none"])
@pytest.mark.parametrize("coordinates", [False, True])
@pytest.mark.parametrize("levels", [1, 3, 5])
def test_equals_the_literal_decoder_in_outputs_and_gradients(skip_mode, coordinates, levels):
    decoder, features, size = make(
        levels, skip_mode=skip_mode, coordinates=coordinates, num_classes=3
    )
    decoder.eval()  # the reference projects skips at each step; running statistics stay put
    sequence = decoder(features, size, steps=3)
    fast = (sequence.mask_logits, sequence.score_logits, sequence.boxes, sequence.class_logits)
    literal = literal_decode(decoder, features, size, steps=3)
    parameters = list(decoder.parameters())
    grads = []
    for outputs in (fast, literal):
        total = sum((o.sin() * (i + 1)).sum() for i, o in enumerate(outputs))
        grads.append(torch.autograd.grad(total, [*parameters, *features], allow_unused=True))
    for a, b in zip(fast, literal, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5)
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-5)


def test_equals_the_literal_decoder_in_training_mode():
    decoder, features, size = make(3)
    fast = decoder(features, size, steps=2)
    masks, scores, boxes, _ = literal_decode(decoder, features, size, steps=2)
    torch.testing.assert_close(fast.mask_logits, masks, rtol=0, atol=1e-5)
    torch.testing.assert_close(fast.score_logits, scores, rtol=0, atol=1e-5)
    torch.testing.assert_close(fast.boxes, boxes, rtol=0, atol=1e-5)


def test_papers_widths_give_the_papers_convolutions():
    decoder = ConvLSTMDecoder((2048, 1024, 512, 256, 64), PAPER_WIDTHS)
    assert [c.hidden_width for c in decoder.cells] == [128, 128, 64, 32, 16]
    assert {c.gates.kernel_size for c in decoder.cells} == {(3, 3)}
    assert decoder.mask_head.kernel_size == (1, 1)
    assert decoder.stop_head.in_features == 128 + 128 + 64 + 32 + 16
    assert decoder.class_head is None


def test_codes_widths_give_its_skip_widths():
    decoder = ConvLSTMDecoder((2048, 1024, 512, 256, 64), CODE_WIDTHS)
    assert [s[0].out_channels for s in decoder.skips] == [128, 128, 64, 32, 16]


def test_a_later_step_sees_the_earlier_ones():
    decoder, features, size = make(2)
    masks = decoder.eval()(features, size, steps=2).mask_logits
    assert not torch.allclose(masks[:, 0], masks[:, 1])


def test_first_steps_do_not_depend_on_how_many_follow():
    decoder, features, size = make(2)
    decoder.eval()
    short, long = (decoder(features, size, steps=t) for t in (2, 5))
    torch.testing.assert_close(short.mask_logits, long.mask_logits[:, :2])


@pytest.mark.parametrize("skip_mode", ["concat", "mul"])
def test_lengths_change_nothing_but_what_is_not_needed(skip_mode):
    decoder, features, size = make(2, skip_mode=skip_mode)
    decoder.eval()
    whole = decoder(features, size, steps=4)
    packed = decoder(features, size, steps=4, lengths=[4, 2])
    torch.testing.assert_close(packed.mask_logits[0], whole.mask_logits[0])
    torch.testing.assert_close(packed.mask_logits[1, :2], whole.mask_logits[1, :2])
    torch.testing.assert_close(packed.score_logits[1, :2], whole.score_logits[1, :2])
    assert packed.mask_logits.shape == whole.mask_logits.shape
    assert packed.mask_logits[1, 2:].abs().sum() == 0


def test_stops_when_all_images_have_had_a_step_below_the_threshold():
    decoder, features, size = make(2)
    decoder.eval()
    scores = decoder(features, size, steps=5).score_logits.sigmoid()
    threshold = float(scores[:, 0].min()) + 1e-6  # one image stops at once, the other later
    below = scores < threshold
    first = [int(row.nonzero()[0]) if row.any() else 4 for row in below]
    stopped = decoder(features, size, steps=5, stop_threshold=threshold)
    assert stopped.steps == max(first) + 1
    assert decoder(features, size, steps=5, stop_threshold=1.1).steps == 1
    assert decoder(features, size, steps=5, stop_threshold=0.0).steps == 5


def test_without_skips_has_no_parameters_for_them():
    decoder, _, _ = make(3, skip_mode="none")
    assert [sum(p.numel() for p in s.parameters()) > 0 for s in decoder.skips] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"skip_mode": "add"}, "'add': expected one of concat"),
        ({"hidden_widths": (8, 8)}, "2 hidden widths for 1 feature levels"),
        ({"hidden_widths": ()}, "0 hidden widths"),
    ],
)
def test_wrong_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        ConvLSTMDecoder((4,), **{"hidden_widths": (8,), **arguments})
