"""Part B, the box network: where to look for the next object.

Source: Ren & Zemel 2017, section 2.2, eq. 3 to 6, tables 7 and 8. Letters as in
``recseg_d2.structures``; L channels and h w size of the last feature map, D the LSTM's width, G
glimpses.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from recseg_d2.layers.coordinates import NUM_COORDINATES, append_coordinates, coordinate_maps
from recseg_d2.layers.step_norm import MakeNorm
from recseg_d2.models.recurrent_attention.conv_stack import SplitInputConv, pooled_size
from recseg_d2.models.recurrent_attention.options import BoxOptions

LSTMState = tuple[torch.Tensor, torch.Tensor]  # hidden and cell, (B, D) each


@dataclass
class Glance:
    """What one step of the box network gives.

    Attributes:
        raw: (B, num_outputs) of the linear layer of eq. 6.
        state: state of the LSTM after the last glimpse; its hidden part is z.
        attention: (B, G, h, w), alpha of eq. 5; each glimpse's weights sum to 1.
    """

    raw: torch.Tensor
    state: LSTMState
    attention: torch.Tensor


class GlimpseLSTM(nn.Module):
    """Looks at a feature map several times, choosing where by what it saw (eq. 4 and 5).

    Glimpse 0 is uniform; where glimpse k looks follows from the hidden state after glimpse k - 1.

    Args:
        feature_width: L, channels of the features.
        map_size: h and w, height and width of the features in cells.
        options: MODEL.RIS.BOX; read are D, also the width of the hidden layer that the weights are
            computed with; G; and whether weights also grow with the product of a feature and a
            query.
    """

    def __init__(self, feature_width: int, map_size: tuple[int, int], options: BoxOptions) -> None:
        super().__init__()
        hidden_width, glimpses = options.hidden_width, options.glimpses
        self.map_size = map_size
        self.glimpses = glimpses
        self.hidden_width = hidden_width
        self.cell = nn.LSTMCell(feature_width, hidden_width)
        self.attend = self.query = None
        if glimpses > 1 and options.content:
            self.query = nn.Linear(hidden_width, feature_width)
        if glimpses > 1:
            self.attend = nn.Sequential(
                nn.Linear(hidden_width, hidden_width),
                nn.ReLU(inplace=True),
                nn.Linear(hidden_width, map_size[0] * map_size[1]),
            )

    def forward(
        self, features: torch.Tensor, state: LSTMState | None
    ) -> tuple[LSTMState, torch.Tensor]:
        """(B, L, h, w) and the state to begin with (None is zero) -> state and (B, G, h, w)."""
        flat = features.flatten(2)  # (B, L, hw)
        if state is None:
            zeros = flat.new_zeros(len(flat), self.hidden_width)
            state = (zeros, zeros)
        weights = flat.new_full((len(flat), flat.shape[2]), 1 / flat.shape[2])
        attention = [weights]
        state = self.cell(flat.mean(dim=2), state)
        for _ in range(self.glimpses - 1):
            assert self.attend is not None
            logits = self.attend(state[0])
            if self.query is not None:
                logits = logits + (self.query(state[0])[:, None] @ flat)[:, 0]
            weights = logits.softmax(dim=1)
            attention.append(weights)
            state = self.cell((flat * weights[:, None]).sum(dim=2), state)
        return state, torch.stack(attention, dim=1).unflatten(2, self.map_size)


class BoxNetwork(nn.Module):
    """CNN over image and canvas, glimpse LSTM, linear layer to the window's numbers.

    Args:
        in_width: channels of the image, or of what the pre-processor made of it.
        canvas: whether the canvas is seen beside the image.
        image_size: H and W, height and width of the image in pixels.
        num_outputs: number of values that the linear layer puts out.
        options: the sizes of the layers.
        make_norm: function that makes a norm for a number of channels; the norm is called with the
            step.
    """

    def __init__(
        self,
        in_width: int,
        canvas: bool,
        image_size: tuple[int, int],
        num_outputs: int,
        options: BoxOptions,
        make_norm: MakeNorm,
    ) -> None:
        super().__init__()
        self.coordinates = options.coordinates
        extra = NUM_COORDINATES if options.coordinates else 0
        widths, pools = options.widths, options.pools
        self.cnn = SplitInputConv(in_width + extra, int(canvas), widths, pools, make_norm)
        self.map_size = pooled_size(image_size, pools)
        self.glimpse = GlimpseLSTM(widths[-1] + extra, self.map_size, options)
        self.linear = nn.Linear(options.hidden_width, num_outputs)

    def prepare(self, image: torch.Tensor) -> torch.Tensor:
        """The work that all steps share, of (B, in_width, H, W)."""
        return self.cnn.prepare(append_coordinates(image) if self.coordinates else image)

    def forward(
        self,
        prepared: torch.Tensor,
        canvas: torch.Tensor | None,
        step: int,
        state: LSTMState | None = None,
    ) -> Glance:
        """One step.

        Args:
            prepared: what ``prepare`` made of the image.
            canvas: (B, 1, H, W), or None where the network does not see one.
            step: number of the step, from 0.
            state: state of the LSTM to go on with; None begins anew.
        """
        features = self.cnn(prepared, canvas, step)
        if self.coordinates:
            maps = coordinate_maps(self.map_size, features).expand(len(features), -1, -1, -1)
            features = torch.cat([features, maps], dim=1)
        state, attention = self.glimpse(features, state)
        return Glance(self.linear(state[0]), state, attention)
