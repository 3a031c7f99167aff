"""The options of InstanceFCN, each with its default and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from recseg_d2.errors import require


@dataclass(frozen=True)
class HeadOptions:
    """The branches on top of the features: masks and objectness of windows."""

    # How a window's mask is made: assembled of k * k score maps, or by fully connected layers, as
    # the baseline of table 2 does.
    mask_head: Literal["assembling", "deepmask"] = "assembling"
    parts: int = 5  # k: relative positions along a side, k * k score maps
    window: int = 21  # m: the window's side in cells of the score maps; even for deepmask
    branch_width: int = 512  # channels of each branch's first convolution
    mask_side: int = 56  # side of deepmask's masks in mask pixels; a multiple of the window
    score_width: int = 1024  # channels of deepmask's last fully connected layer before the score

    def __post_init__(self) -> None:
        if self.mask_head == "deepmask":
            require(self.window % 2 == 0, self, "window", "an even number of cells for deepmask")
            whole = self.mask_side % self.window == 0
            require(whole, self, "mask_side", f"a multiple of the window's {self.window} cells")
        else:
            fits = 1 <= self.parts <= self.window
            require(fits, self, "parts", f"1 to {self.window}, the window's cells")


@dataclass(frozen=True)
class LabelRules:
    """Which windows are positive or negative: DeepMask's rules, in shares of the window's side.

    Octaves are powers of two of an object's size.
    """

    object_side: float = 4 / 7  # longer side of an object that fits exactly (DeepMask: 128 / 224)
    # Most that the centres of a positive and its object differ, along either axis (16 / 224).
    positive_shift: float = 1 / 14
    # Most that an object's size differs from one that fits. DeepMask's is 0.25; the scales
    # 600 * 1.5^i are 0.585 octaves apart, so 0.3 leaves no size between them without a scale.
    positive_octaves: float = 0.3
    # Least that a negative's centre differs from those of objects of its size, along one axis
    # at least (32 / 224).
    negative_shift: float = 1 / 7
    negative_octaves: float = 1.0  # an object whose size differs this much is none of its size

    def __post_init__(self) -> None:
        for name in ("shift", "octaves"):
            positive, negative = (getattr(self, f"{k}_{name}") for k in ("positive", "negative"))
            fits = 0 < positive <= negative
            require(fits, self, f"positive_{name}", f"above 0, and not above negatives' {negative}")


@dataclass(frozen=True)
class SamplingOptions:
    """What an image is trained on."""

    num_windows: int = 256  # windows drawn of an image
    positive_fraction: float = 0.5  # largest share of them that is positive
    soft_targets: bool = False  # a mask pixel's target is the share that is covered, not 0 or 1
    # 0 trains on whole images. Otherwise each window's surroundings, so many pixels a side, are cut
    # out and go through the network alone, as DeepMask is trained (table 2).
    crop_size: int = 0

    def __post_init__(self) -> None:
        require(self.num_windows >= 1, self, "num_windows", "1 or more")
        require(0 <= self.positive_fraction <= 1, self, "positive_fraction", "0 to 1")


@dataclass(frozen=True)
class LossWeights:
    """Weights of the loss terms."""

    mask: float = 1.0  # of the logistic loss of mask pixels
    objectness: float = 1.0  # of the logistic loss of windows


@dataclass(frozen=True)
class ProposalOptions:
    """How an image becomes proposals, and which of them are instances.

    The defaults are the paper's, or its relatives'.
    """

    # Sizes that the image is resized to: shorter sides in pixels, or shares of its own.
    scales: tuple[float, ...] = tuple(600 * 1.5**power for power in range(-4, 2))
    scale_unit: Literal["shorter_side", "image"] = (
        "shorter_side"  # in pixels, or shares of the image
    )
    max_side: int = 2000  # longest side in pixels; a scale that exceeds it is reduced
    # Probability above which a pixel belongs to a mask; the paper truncates without saying where,
    # 0.4 is that of its authors' MNC.
    mask_thresh: float = 0.4
    nms_thresh: float = 0.8  # IoU of boxes above which the worse of two proposals is dropped
    pre_nms_topk: int = 2000  # best windows of each scale that may be assembled; 0: all
    topk: int = 1000  # N, most proposals; each is a mask of its image, 0.3 GB for 640 x 480 pixels
    instance_score_thresh: float = 0.5  # least objectness of a proposal that is an instance
    instance_nms_thresh: float = 0.5  # IoU above which the worse of two instances is dropped
    instance_topk: int = 100  # most instances of an image

    def __post_init__(self) -> None:
        shares = self.scale_unit == "image"
        scales = min(self.scales, default=0) >= (0.01 if shares else 1)
        expected = "one or more, from 0.01 on" if shares else "one or more, of 1 or more pixels"
        require(scales, self, "scales", expected)
        for name in ("max_side", "topk", "instance_topk"):
            require(getattr(self, name) >= 1, self, name, "1 or more")
        require(self.pre_nms_topk >= 0, self, "pre_nms_topk", "0 (all) or more")
        require(0 < self.mask_thresh < 1, self, "mask_thresh", "a number between 0 and 1")
        for name in ("nms_thresh", "instance_score_thresh", "instance_nms_thresh"):
            require(0 <= getattr(self, name) <= 1, self, name, "0 to 1")


@dataclass(frozen=True)
class InstanceFCNOptions:
    """InstanceFCNProposal (Dai et al. 2016)."""

    feature: str = ""  # name of the backbone's feature map to use; empty: its finest
    head: HeadOptions = field(default_factory=HeadOptions)
    labels: LabelRules = field(default_factory=LabelRules)
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    loss_weights: LossWeights = field(default_factory=LossWeights)
    test: ProposalOptions = field(default_factory=ProposalOptions)
