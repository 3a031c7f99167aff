"""The recurrent attention model as the paper writes it: every step recomputes everything.

Equations 1 to 20 of Ren & Zemel 2017 in their order, on the parameters of ``RecurrentAttention``:
each step concatenates canvas and image and runs all convolutions over it, writes the LSTM out, and
extracts with sums over the image's pixels.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.models.recurrent_attention.steps import AttentionSequence


def convolve(layer, x, t):
    """A row of table 7 or 9, and the pooling after it."""
    x = F.relu(layer.norm(F.conv2d(x, layer.conv.weight, padding=1), t))
    if layer.pool > 1:  # SAME: what the border lacks does not win
        missing = [-x.shape[i] % layer.pool for i in (3, 2)]
        x = F.pad(x, (0, missing[0], 0, missing[1]), value=-math.inf)
        x = F.max_pool2d(x, layer.pool)
    return x


def lstm(cell, x, hidden, memory):
    gates = F.linear(x, cell.weight_ih, cell.bias_ih) + F.linear(
        hidden, cell.weight_hh, cell.bias_hh
    )
    let_in, forget, candidate, let_out = gates.chunk(4, dim=1)
    memory = forget.sigmoid() * memory + let_in.sigmoid() * candidate.tanh()
    return let_out.sigmoid() * memory.tanh(), memory


def positions(size, like):
    """y, x and radius of every pixel, as ``layers.coordinates`` has them."""
    height, width = size
    y = torch.tensor([(i + 0.5) / height * 2 - 1 for i in range(height)], dtype=torch.float64)
    x = torch.tensor([(j + 0.5) / width * 2 - 1 for j in range(width)], dtype=torch.float64)
    maps = torch.stack([y[:, None].expand(size), x[None].expand(size)]).to(like)
    return torch.cat([maps, maps.square().sum(0, keepdim=True).sqrt() - 1])[None]


def with_positions(x):
    return torch.cat([x, positions(x.shape[2:], x).expand(len(x), -1, -1, -1)], dim=1)


def glimpses(net, d, t, state):
    """Eq. 3 to 5: hidden state, memory and all alphas."""
    u = d
    for layer in net.cnn.layers:
        u = convolve(layer, u, t)
    if net.coordinates:
        u = with_positions(u)
    lstm_net = net.glimpse
    zeros = u.new_zeros(len(u), lstm_net.hidden_width)
    z, memory = (zeros, zeros) if state is None else state
    alphas = []
    for tau in range(lstm_net.glimpses):
        if tau == 0:
            alpha = torch.full_like(u[:, 0], 1 / (u.shape[2] * u.shape[3]))
        else:
            e = lstm_net.attend(z).view_as(u[:, 0])
            if lstm_net.query is not None:
                e = e + (lstm_net.query(z)[:, :, None, None] * u).sum(dim=1)
            alpha = e.flatten(1).softmax(dim=1).view_as(e)
        alphas.append(alpha)
        z, memory = lstm(lstm_net.cell, (alpha[:, None] * u).sum(dim=(2, 3)), z, memory)
    return z, memory, torch.stack(alphas, dim=1)


def decode(windows, raw):
    """Eq. 6 to 10, y before x: centre, size, log variance and the gains of patch, mask and box."""
    options = windows.options
    shape = raw.new_tensor(windows.image_size)
    patch = raw.new_tensor(windows.patch_size)
    centre, size = (raw[:, :2] + 1) * shape / 2, raw[:, 2:4].exp() * options.unit_size * shape
    rest = raw[:, 4:]
    if options.variance == "predicted":
        log_variance, rest = rest[:, :2], rest[:, 2:]
    elif options.variance == "box":
        log_variance = (size / patch).log()
    else:
        log_variance = torch.zeros_like(size)
    if options.min_variance:
        log_variance = log_variance.clamp(min=math.log(options.min_variance))
    one = torch.ones(len(raw)).to(raw)
    gains = {"patch": one}
    order = [("patch", options.patch_gamma), ("box", options.box_gamma == "predicted")]
    for name, predicted in [*order, ("mask", options.gamma == "predicted")]:
        if predicted:
            gains[name], rest = rest[:, 0].exp(), rest[:, 1:]
    if options.gamma != "predicted":
        gains["mask"] = one * math.exp(options.log_gamma)
    if options.gamma == "area":
        gains["mask"] = gains["mask"] * ((size + 1) / patch).prod(dim=1)
    gains = (gains["patch"], gains["mask"], gains.get("box", gains["mask"]))
    return centre, size, log_variance, gains


def filter_table(centre, size, log_variance, count, length):
    """Eq. 11 to 14: (B, length, count), F of the paper."""
    i = torch.arange(count).to(centre)
    mu = centre[:, None] + (size[:, None] + 1) * (i - count / 2 + 0.5) / count
    a = torch.arange(length).to(centre)
    sigma = (log_variance / 2).exp()[:, None, None]
    density = torch.exp(-((a[None, :, None] - mu[:, None]) ** 2) / (2 * sigma**2))
    return density / (math.sqrt(2 * math.pi) * sigma)


def read(f_y, image, f_x):
    """Eq. 16: (B, C, H, W) to patches."""
    return torch.einsum("bhp,bchw,bwq->bcpq", f_y, image, f_x)


def write(f_y, patch, f_x):
    """Eq. 19, and 25 of ones: patches to (B, H, W)."""
    return torch.einsum("bhp,bpq,bwq->bhw", f_y, patch, f_x)


def segment(net, patch, t):
    """Eq. 17 and 18 with the skips of table 9."""
    levels = [patch]
    for layer in net.encoder:
        levels.append(convolve(layer, levels[-1], t))
    y = levels[-1]
    for k, layer in enumerate(net.decoder):
        if net.skips[k]:
            y = torch.cat([y, levels[len(net.encoder) - k]], dim=1)
        stride = layer.deconv.stride[0]
        y = F.conv_transpose2d(
            y, layer.deconv.weight, layer.deconv.bias, stride, padding=1, output_padding=stride - 1
        )
        if layer.norm is not None:
            y = F.relu(layer.norm(y, t))
    return levels[-1], y[:, 0]


def literal_run(network: nn.Module, x0, maps, steps, stop_threshold=None, lengths=None):
    """The sequence of ``RecurrentAttention.forward``, without ground truth and trace.

    With ``lengths``, the longest first, an image takes no part in the steps after its last one,
    which are zeros in the result; otherwise all images take all steps.
    """
    windows, beta = network.windows, network.windows.options.beta
    height, width = windows.image_size
    x = torch.cat([x0, maps], dim=1) if maps is not None else x0
    seen = x if network.box_sees_all else maps
    canvas, state = torch.zeros_like(x0[:, 0]), None
    emitted = {name: [] for name in ("masks", "scores", "boxes", "box_logits", "features")}
    alive = torch.ones(len(x0), dtype=torch.bool, device=x0.device)
    for t in range(steps):
        if lengths is not None:
            n = sum(length > t for length in lengths)
            x0, x, seen, canvas = x0[:n], x[:n], seen[:n], canvas[:n]
            state = None if state is None else (state[0][:n], state[1][:n])
        z = []
        if network.box_network is None:
            shape = x0.new_tensor([height, width]).expand(len(x0), 2)
            centre, size = (shape - 1) / 2, shape - 1
            log_variance = (shape / x0.new_tensor(windows.patch_size)).log()
            gamma = network.log_gains.exp().expand(len(x0), -1)[:, 0]
            gains = (torch.ones_like(gamma), gamma, gamma)
        else:
            net = network.box_network
            d = with_positions(seen) if net.coordinates else seen
            if network.canvas:
                d = torch.cat([d, canvas[:, None]], dim=1)
            hidden, memory, _ = glimpses(net, d, t, state)
            state = (hidden, memory) if network.carry_state else None
            z = [hidden]
            centre, size, log_variance, gains = decode(windows, net.linear(hidden))
        f_y = filter_table(
            centre[:, 0], size[:, 0], log_variance[:, 0], windows.patch_size[0], height
        )
        f_x = filter_table(
            centre[:, 1], size[:, 1], log_variance[:, 1], windows.patch_size[1], width
        )
        if network.box_network is not None:
            ones = x0.new_ones(len(x0), *windows.patch_size)
            box = gains[2][:, None, None] * write(f_y, ones, f_x) - beta
            emitted["box_logits"].append(box)
            low, high = centre + 0.5 - (size + 1) / 2, centre + 0.5 + (size + 1) / 2
            sides = [low[:, 1] / width, low[:, 0] / height, high[:, 1] / width, high[:, 0] / height]
            emitted["boxes"].append(torch.stack(sides, dim=1))
        if network.segmentation is None:
            mask, features = box, z[0]
            score = network.box_score_head(features)[:, 0]
        else:
            whole = torch.cat([x, canvas[:, None]], dim=1) if network.canvas else x
            patch = read(f_y, whole, f_x)
            v, heat = segment(network.segmentation, gains[0][:, None, None, None] * patch, t)
            mask = gains[1][:, None, None] * write(f_y, heat, f_x) - beta
            features = torch.cat([*z, v.flatten(1)], dim=1)
            score = network.score_head(features)[:, 0]
        emitted["masks"].append(mask)
        emitted["scores"].append(score)
        emitted["features"].append(features)
        y = mask.sigmoid() if network.canvas_gradient else mask.sigmoid().detach()
        canvas = torch.maximum(canvas, y)
        if stop_threshold is not None:
            alive = alive & (score.sigmoid() >= stop_threshold)
            if not alive.any():
                break
    batch = len(alive)
    emitted = {
        name: [torch.cat([v, v.new_zeros(batch - len(v), *v.shape[1:])]) for v in values]
        for name, values in emitted.items()
    }
    stacked = {name: torch.stack(v, dim=1) if v else None for name, v in emitted.items()}
    head = network.class_head
    return AttentionSequence(
        mask_logits=stacked["masks"],
        score_logits=stacked["scores"],
        class_logits=None if head is None else head(stacked["features"]),
        boxes=stacked["boxes"],
        box_logits=stacked["box_logits"],
    )


def make_literal(model: nn.Module) -> None:
    """Make a ``RecurrentAttentionSeg`` compute its sequences literally, ground truth never fed."""
    network = model.network

    def forward(
        image, maps, steps, stop_threshold=None, feeder=None, with_trace=False, lengths=None
    ):
        return literal_run(network, image, maps, steps, stop_threshold)

    network.forward = forward
