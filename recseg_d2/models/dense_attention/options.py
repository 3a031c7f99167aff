"""The options of the dense attention model, each with its default and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field

from recseg_d2.errors import require

_CELLS_STEP = 4  # the window network halves its grid twice


@dataclass(frozen=True)
class NetworkOptions:
    """Sizes of the networks beside the encoder."""

    # Contrast of a copy of the image that is compressed by logarithms, in which dim objects show;
    # the networks see both. 0: no copy.
    log_contrast: float = 100.0
    coarse_width: int = 48  # channels of the decoder's features at stride 8
    head_width: int = 24  # channels of the heads that make the heat map and the boxes
    window_widths: tuple[int, int, int] = (24, 40, 64)  # channels of the window network's levels
    window_coarse_width: int = 16  # channels of the coarse features that windows read
    cells: int = 28  # side of the grid on which a window is read and its mask predicted
    context: float = 1.5  # side of a window, as a multiple of the box's longer side, ...
    margin: float = 4.0  # ... plus this many pixels

    def __post_init__(self) -> None:
        require(self.log_contrast >= 0, self, "log_contrast", "0 or more")
        fits = self.cells > 0 and self.cells % _CELLS_STEP == 0
        require(fits, self, "cells", f"a multiple of {_CELLS_STEP}")


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms."""

    foreground: float = 0.5  # cross-entropy and dice of the auxiliary foreground
    direction: float = 0.2  # cross-entropy of the auxiliary direction to the object's centre
    box: float = 1.0  # of the box field
    heat: float = 1.0  # of the heat map
    mask: float = 1.0  # cross-entropy and dice of a window's mask
    score: float = 0.5  # cross-entropy of a window's score
    cls: float = 0.5  # cross-entropy of a window's class, where there are several


@dataclass(frozen=True)
class SamplingOptions:
    """What an image is trained on in one iteration."""

    true_windows: int = 5  # most windows around true objects
    own_windows: int = 3  # most windows at maxima of the model's own heat map
    box_jitter: float = 0.09  # standard deviation of a true box's edges, as a share of its size
    own_masks: float = 0.8  # probability that a predicted mask is drawn on the last canvas
    merged: float = 0.15  # probability that two touching objects on a canvas are drawn as one
    min_area: int = 12  # objects with fewer visible pixels are neither trained on nor background

    def __post_init__(self) -> None:
        require(self.true_windows >= 1, self, "true_windows", "1 or more")
        require(self.own_windows >= 1, self, "own_windows", "1 or more")


@dataclass(frozen=True)
class SearchOptions:
    """How objects are searched at inference."""

    # The search ends where no place of the heat map exceeds this, nor SCORE_THRESH squared: with
    # less heat nothing can be kept.
    heat_thresh: float = 0.2
    score_thresh: float = 0.4  # least sqrt(heat * score) of an object that is kept
    min_area: int = 12  # least pixels of an object that is kept
    duplicate_iou: float = 0.6  # a mask with this IoU with an object found before is that object
    max_objects: int = 1000  # most objects of an image, or of a tile
    looks_per_round: int = 64  # most places looked at together; 1: strictly one after another
    # Largest share of the smaller of two boxes that both cover, for places looked at together: the
    # larger, the fewer rounds, and the more often two looks do not know of each other.
    shared_box: float = 0.15

    def __post_init__(self) -> None:
        require(0 <= self.heat_thresh <= 1, self, "heat_thresh", "0 to 1")
        require(0 <= self.score_thresh <= 1, self, "score_thresh", "0 to 1")
        require(self.looks_per_round >= 1, self, "looks_per_round", "1 or more")
        require(0 <= self.shared_box <= 1, self, "shared_box", "0 to 1")

    @property
    def least_heat(self) -> float:
        """Heat in [0, 1] below which no place is looked at: sqrt(heat * score) is too low there."""
        return max(self.heat_thresh, self.score_thresh**2)


@dataclass(frozen=True)
class TilingOptions:
    """How large images are searched."""

    side: int = 1024  # pixels a side; larger images are searched in tiles of this size
    overlap: int = 256  # of neighbouring tiles, in pixels; smaller objects are found whole

    def __post_init__(self) -> None:
        require(self.side >= 1, self, "side", "1 or more")
        require(0 <= self.overlap < self.side, self, "overlap", "0 or more, below SIDE")


@dataclass(frozen=True)
class DenseAttentionOptions:
    """Networks, losses, sampling and search of DenseAttentionSeg."""

    network: NetworkOptions = field(default_factory=NetworkOptions)
    loss_weights: LossWeights = field(default_factory=LossWeights)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    test: SearchOptions = field(default_factory=SearchOptions)
    tiling: TilingOptions = field(default_factory=TilingOptions)
