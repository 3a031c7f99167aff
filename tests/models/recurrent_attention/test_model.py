import copy
from dataclasses import replace

import pytest
import torch
from reference.ris_literal import literal_run

from recseg_d2.errors import OptionError
from recseg_d2.models.recurrent_attention.model import RecurrentAttention
from recseg_d2.models.recurrent_attention.options import (
    BoxOptions,
    PatchOptions,
    RecurrentAttentionOptions,
    WindowOptions,
)

SIZE = (19, 26)  # no multiple of the pools
NONE = {"enabled": False}
BOX = {"widths": (4, 5), "pools": (2, 2), "hidden_width": 7, "glimpses": 3}
PATCH = PatchOptions((8, 4), (4, 5), (1, 2), (4, 3), (True, True))


def make(box=None, patch=PATCH, window=None, steps=3, map_width=0, num_classes=1, **options):
    torch.manual_seed(0)
    options = RecurrentAttentionOptions(
        box=BoxOptions(**{**BOX, **(box or {})}),
        patch=patch,
        window=WindowOptions(**(window or {})),
        **{"init_std": 0.3, **options},
    )
    network = RecurrentAttention(SIZE, steps, options, num_classes, map_width=map_width)
    return network.double()


def inputs(map_width=0, batch=2):
    torch.manual_seed(1)
    image = torch.rand(batch, 3, *SIZE, dtype=torch.float64, requires_grad=True)
    maps = torch.rand(batch, map_width, *SIZE, dtype=torch.float64) if map_width else None
    return image, maps


CASES = {
    "paper": {"map_width": 9},
    "code": {
        "map_width": 9,
        "box": {"sees_image": True},
        "window": {"variance": "box", "box_gamma": "predicted", "patch_gamma": True},
        "patch": replace(PATCH, skips=(True, False)),
    },
    "leaves, code": {
        "window": {"variance": "box", "gamma": "fixed", "box_gamma": "predicted"},
        "patch": replace(PATCH, skips=(False, False)),
    },
    "classes": {"num_classes": 3},
    "one glimpse": {"box": {"glimpses": 1}},
    "state carried": {"box": {"carry_state": True}},
    "coordinates": {"map_width": 2, "box": {"coordinates": True}},
    "content": {"map_width": 2, "box": {"content": True}},
    "gradient through the canvas": {"canvas_gradient": True},
    "no canvas": {"canvas": False, "box": {"carry_state": True}},
    "no box network": {"box": NONE},
    "box stage": {"stage": "box"},
    "shared norms": {"norm": "shared"},
    "group norms": {"norm": "group"},
    "area": {"window": {"gamma": "area", "variance": "unit"}},
    "linear heat, bounded variance": {
        "window": {"min_variance": 0.5},
        "patch": replace(PATCH, positive=False),
    },
    "PyTorch's weights": {"init_std": 0.0},
}


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_equals_the_literal_model_in_outputs_and_gradients(name, training):
    options = dict(CASES[name])
    network = make(**options).train(training)
    image, maps = inputs(options.get("map_width", 0))
    grads, outputs = [], []
    for run in (lambda n: n(image, maps, 3), lambda n: literal_run(n, image, maps, 3)):
        own = copy.deepcopy(network)  # norms keep statistics
        sequence = run(own)
        found = [sequence.mask_logits, sequence.score_logits, sequence.box_logits]
        found = [x for x in (*found, sequence.boxes, sequence.class_logits) if x is not None]
        total = sum((x.sin() * (i + 1)).mean() for i, x in enumerate(found))
        grads.append(torch.autograd.grad(total, [*own.parameters(), image], allow_unused=True))
        outputs.append((found, own.state_dict()))
    for a, b in zip(outputs[0][0], outputs[1][0], strict=True):
        torch.testing.assert_close(a, b)
    for key, value in outputs[0][1].items():
        torch.testing.assert_close(value, outputs[1][1][key])
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b)


def taken(sequence, lengths):
    """What each image's own steps hold, image by image."""
    fields = ("mask_logits", "score_logits", "box_logits", "boxes", "class_logits")
    values = [getattr(sequence, name) for name in fields]
    return [[v[i, :n] for v in values if v is not None] for i, n in enumerate(lengths)]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", CASES)
def test_images_that_have_ended_take_no_part_as_in_the_literal_model(name, training):
    lengths = [4, 3, 1]
    options = {**CASES[name], "steps": 4}
    network = make(**options).train(training)
    image, maps = inputs(options.get("map_width", 0), batch=3)
    grads, outputs, states = [], [], []
    for run in (lambda n: n(image, maps, 4, lengths=lengths),
                lambda n: literal_run(n, image, maps, 4, lengths=lengths)):  # fmt: skip
        own = copy.deepcopy(network)
        found = [x for values in taken(run(own), lengths) for x in values]
        total = sum((x.sin() * (i + 1)).mean() for i, x in enumerate(found))
        grads.append(torch.autograd.grad(total, [*own.parameters(), image], allow_unused=True))
        outputs.append(found)
        states.append(own.state_dict())
    torch.testing.assert_close(*outputs)
    torch.testing.assert_close(*states)
    for a, b in zip(*grads, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize(("norm", "training"), [("group", True), ("per_step", False)])
@pytest.mark.parametrize("carry_state", [False, True])
def test_an_image_of_a_batch_gives_what_it_gives_alone(norm, training, carry_state):
    lengths = [4, 4, 2, 1]
    network = make(norm=norm, steps=4, box={"carry_state": carry_state}, num_classes=3)
    network.train(training)
    image, _ = inputs(batch=4)
    together = network(image, None, 4, lengths=lengths)
    alone = [network(image[i : i + 1], None, n) for i, n in enumerate(lengths)]
    for i, (a, b) in enumerate(zip(taken(together, lengths), alone, strict=True)):
        torch.testing.assert_close(a, taken(b, lengths[i : i + 1])[0])
    later = torch.arange(4) >= torch.tensor(lengths)[:, None]
    assert later.any()
    for logits in (together.score_logits, together.mask_logits, together.box_logits):
        assert logits[later].sigmoid().abs().max() == 0


def seen_batches(network):
    """How many images each call of the segmentation network gets."""
    sizes = []
    network.segmentation.register_forward_hook(lambda m, args, out: sizes.append(len(args[0])))
    return sizes


def test_each_step_runs_on_the_images_that_need_it():
    network = make(steps=4)
    sizes = seen_batches(network)
    network(inputs(batch=3)[0], None, 4, lengths=[4, 2, 2])
    assert sizes == [3, 3, 1, 1]


@pytest.mark.parametrize("recomputed", [False, True])
def test_packed_steps_are_recomputed(recomputed):
    network = make(norm="group")
    network.recompute_steps = recomputed
    sequence = network(inputs(batch=2)[0], None, 3, lengths=[3, 1])
    sequence.mask_logits[:, 0].sum().backward()
    found = [p.grad for p in network.parameters()]
    network.zero_grad()
    network.recompute_steps = False
    network(inputs(batch=2)[0], None, 3, lengths=[3, 1]).mask_logits[:, 0].sum().backward()
    for a, p in zip(found, network.parameters(), strict=True):
        torch.testing.assert_close(a, p.grad)


@pytest.mark.parametrize("packs", [True, False])
def test_what_ends_an_image_does_not_depend_on_its_batch(packs):
    """Thresholds between any two scores, so that images end in every order."""
    network, (image, _) = make(steps=5).eval(), inputs(batch=4)
    network.packs_inference = packs
    sizes = seen_batches(network)
    scores = network(image, None, 5).score_logits.sigmoid()
    ordered = scores.flatten().sort().values
    for threshold in ((ordered[1:] + ordered[:-1]) / 2)[::3].tolist():
        ends = [int((row < threshold).nonzero().min()) + 1 if (row < threshold).any() else 5
                for row in scores]  # fmt: skip
        sizes.clear()
        with torch.no_grad():
            together = network(image, None, 5, stop_threshold=threshold, with_trace=True)
        assert together.steps == max(ends) == len(sizes)
        assert sizes == [sum(e > t for e in ends) if packs else 4 for t in range(max(ends))]
        for i, n in enumerate(ends):
            with torch.no_grad():
                alone = network(image[i : i + 1], None, 5, stop_threshold=threshold,
                                with_trace=True)  # fmt: skip
            torch.testing.assert_close(taken(together, ends)[i], taken(alone, [n])[0])
            for name, values in alone.trace.items():
                torch.testing.assert_close(together.trace[name][i, :n], values[0])


def test_the_canvas_holds_what_was_found_before():
    network = make().eval()
    image, _ = inputs()
    seen = []
    network.box_network.register_forward_hook(lambda m, args, out: seen.append(args[1]))
    masks = network(image, None, 3).mask_logits.sigmoid()
    assert seen[0].abs().max() == 0
    torch.testing.assert_close(seen[1][:, 0], masks[:, 0])
    torch.testing.assert_close(seen[2][:, 0], torch.maximum(masks[:, 0], masks[:, 1]))


@pytest.mark.parametrize("gradient", [False, True])
def test_the_gradient_stops_at_the_canvas_unless_asked(gradient):
    network = make(canvas_gradient=gradient, box={"glimpses": 1}).eval()
    seen = []
    network.box_network.register_forward_hook(lambda m, args, out: seen.append(args[1]))
    network(inputs()[0].detach(), None, 2)
    assert seen[1].requires_grad == gradient


def test_what_is_switched_off_has_no_parameters():
    names = {n.split(".")[0] for n, _ in make(box=NONE).named_parameters()}
    assert names == {"log_gains", "segmentation", "score_head"}
    assert make(box=NONE, window={"gamma": "fixed"}).log_gains.numel() == 0
    names = {n.split(".")[0] for n, _ in make(stage="box").named_parameters()}
    assert names == {"box_network", "box_score_head"}
    for canvas, width in ((True, 4), (False, 3)):
        network = make(canvas=canvas)
        assert network.box_network.cnn.layers[0].conv.in_channels == width
        assert network.segmentation.encoder[0].conv.in_channels == width
    assert make(box={"glimpses": 1}).box_network.glimpse.attend is None
    with pytest.raises(OptionError, match="stage is 'box'; expected one whose network"):
        make(box=NONE, stage="box")


def test_stages_share_the_names_of_what_they_share():
    box, full = make(stage="box").state_dict(), make(num_classes=3).state_dict()
    shared = [k for k in box if k.startswith("box_network.")]
    assert shared
    assert all(full[k].shape == box[k].shape for k in shared)
    assert not [k for k in box if k not in full and not k.startswith("box_score_head.")]


def test_first_steps_do_not_depend_on_how_many_follow():
    network, (image, _) = make().eval(), inputs()
    short, long = network(image, None, 1), network(image, None, 3)
    torch.testing.assert_close(short.mask_logits, long.mask_logits[:, :1])


def test_stops_when_every_image_had_a_step_below_the_threshold():
    network, (image, _) = make(steps=5).eval(), inputs()
    scores = network(image, None, 5).score_logits.sigmoid()
    assert network(image, None, 5, stop_threshold=1.1).steps == 1
    assert network(image, None, 5, stop_threshold=0.0).steps == 5
    threshold = scores.amin(dim=1).max().item() + 1e-9  # both images get below it
    first = [int((row < threshold).nonzero()[0]) for row in scores]
    assert network(image, None, 5, stop_threshold=threshold).steps == max(first) + 1


def test_trace():
    network = make().eval()
    image, _ = inputs()
    assert network(image, None, 2).trace == {}
    sequence = network(image, None, 2, with_trace=True)
    shapes = {k: tuple(v.shape) for k, v in sequence.trace.items()}
    assert shapes == {
        "glimpses": (2, 2, 3, 5, 7),
        "box_maps": (2, 2, *SIZE),
        "box_params": (2, 2, 4),
        "patch_masks": (2, 2, 8, 4),
    }
    torch.testing.assert_close(
        sequence.trace["glimpses"].sum((-2, -1)), torch.ones(2, 2, 3, dtype=torch.float64)
    )
    torch.testing.assert_close(sequence.trace["box_maps"], sequence.box_logits.sigmoid())


def test_paper_sizes():
    network = RecurrentAttention((224, 224), 21, RecurrentAttentionOptions(), 1, map_width=9)
    convs = [m for m in network.box_network.cnn.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [(c.in_channels, c.out_channels) for c in convs] == [
        (10, 16), (16, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 64), (64, 64),
    ]  # fmt: skip
    assert network.box_network.map_size == (7, 7)
    assert network.box_network.glimpse.attend[2].out_features == 49
    patch = network.segmentation
    assert [(c.conv.in_channels, c.conv.out_channels) for c in patch.encoder] == [
        (13, 16), (16, 32), (32, 32), (32, 64), (64, 64), (64, 96),
    ]  # fmt: skip
    assert [(d.deconv.in_channels, d.deconv.out_channels) for d in patch.decoder] == [
        (96, 64), (128, 64), (128, 32), (64, 32), (64, 16), (32, 16), (29, 1),
    ]  # fmt: skip
    assert [d.deconv.stride[0] for d in patch.decoder] == [2, 1, 2, 1, 2, 1, 1]
    assert patch.bottleneck_width == 6 * 6 * 96
    assert network.score_head.in_features == 256 + 6 * 6 * 96


@pytest.mark.parametrize(("size", "maps"), [((128, 448), (4, 14)), ((256, 512), (8, 16))])
def test_other_sizes_of_the_paper(size, maps):
    network = RecurrentAttention(size, 2, RecurrentAttentionOptions(), 1, map_width=9)
    assert network.box_network.map_size == maps
