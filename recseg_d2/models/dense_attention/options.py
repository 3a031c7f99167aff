"""The options of the dense attention model, each with its default and what it means."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class NetworkOptions:
    """Sizes of the networks."""

    widths: tuple[int, ...] = (24, 48, 80, 112, 128)  # channels at strides 2, 4, 8, 16, 32
    stem_blocks: int = 1  # residual blocks of the encoder at stride 2, where they cost most
    coarse_width: int = 48  # channels of the decoder's features at stride 8
    head_width: int = 24  # channels of the heads that make the heat map and the boxes
    window_widths: tuple[int, ...] = (24, 40, 64)  # channels of the window network's three levels
    window_coarse_width: int = 16  # channels of the coarse features that windows read
    cells: int = 28  # side of the grid on which a window is read and its mask predicted
    context: float = 1.5  # side of a window, as a multiple of the box's longer side ...
    margin: float = 4.0  # ... plus this many pixels


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms."""

    foreground: float = 0.5
    direction: float = 0.2
    box: float = 1.0
    heat: float = 1.0
    mask: float = 1.0
    score: float = 0.5
    cls: float = 0.5


@dataclass(frozen=True)
class SamplingOptions:
    """What an image is trained on in one iteration."""

    true_windows: int = 5  # most windows around true objects
    own_windows: int = 3  # most windows at maxima of the model's own heat map
    box_jitter: float = 0.09  # standard deviation of a true box's edges, as a share of its size
    own_masks: float = 0.8  # probability that a predicted mask is drawn on the last canvas
    merged: float = 0.15  # probability that two touching objects on a canvas are drawn as one
    min_area: int = 12  # objects with fewer visible pixels are neither trained on nor background


@dataclass(frozen=True)
class SearchOptions:
    """How objects are searched at inference."""

    heat_threshold: float = 0.12  # the search ends where no place of the heat map exceeds it
    score_threshold: float = 0.4  # least sqrt(heat * score) of an object that is kept
    min_area: int = 12  # least pixels of an object that is kept
    duplicate_iou: float = 0.6  # a mask with this IoU with an object found before is that object
    max_objects: int = 1000  # most objects of an image
    looks_per_round: int = 64  # most places looked at together; 1: strictly one after another
