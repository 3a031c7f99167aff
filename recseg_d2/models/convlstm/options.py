"""The options of RSIS, each with its default and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the loss, L_m + alpha L_b + lambda L_c + gamma L_s.

    The paper does not print them: these are the public code's, and its development branch's for
    the box term. Its stop loss weighs both outcomes by a half ("balance"), so its 0.5 is 0.25 here.
    A term of weight 0 is not computed.
    """

    mask: float = 1.0  # of 1 - soft IoU of matched masks
    box: float = 1.0  # alpha, of the squared error of matched boxes
    cls: float = 0.1  # lambda, of the cross entropy of matched classes
    stop: float = 0.25  # gamma, of the cross entropy of the objectness at each step
    stop_slot: float = 1.0  # within the stop loss, weight of the one step after the last object


@dataclass(frozen=True)
class ConvLSTMOptions:
    """ConvLSTMSemInstSeg (Salvador et al. 2017)."""

    # Width of each ConvLSTM, the deepest first: D, D, D/2, D/4 and D/8 in section 3.2. Fewer than
    # the encoder has levels leave out its finest ones, as the ablation of table 2a does.
    hidden_widths: tuple[int, ...] = (128, 128, 64, 32, 16)
    # How the encoder's features join the hidden state from below; with none, only the deepest
    # ConvLSTM sees the encoder.
    skip_mode: Literal["concat", "sum", "mul", "none"] = "concat"
    # Side of the mask head's convolution: 1 in section 3.2; 3, after a last upsampling, in the
    # public code.
    mask_kernel: Literal[1, 3] = 1
    # Upsampling keeps the centres of the corners' pixels in place, as in the public code, instead
    # of their outer edges.
    align_corners: bool = False
    coordinates: bool = False  # give each level y, x and radius channels (beyond the paper)
    forget_bias: float = 0.0  # added to the initial bias of the forget gates
    box_head: bool = True  # predict and train boxes
    loss_weights: LossWeights = field(default_factory=LossWeights)
