"""The options of the classifier of mask proposals, each with its default and what it means."""

from __future__ import annotations

from dataclasses import dataclass, field

from recseg_d2.errors import require
from recseg_d2.postprocess.mask_voting import MergeOptions


@dataclass(frozen=True)
class SamplingOptions:
    """Which proposals of an image are trained on; the defaults are Fast R-CNN's."""

    num_proposals: int = 128  # most proposals of an image
    foreground_fraction: float = 0.25  # largest share of them that is foreground
    foreground_iou: float = 0.5  # least mask IoU with an object for its class
    background_iou: tuple[float, float] = (0.0, 0.5)  # range [first, second) of background's
    add_ground_truth: bool = True  # objects' own masks are proposals, too


@dataclass(frozen=True)
class ClassifierOptions:
    """MaskProposalClassifier (Dai et al. 2016, table 4)."""

    feature: str = ""  # name of the backbone's feature map to use; empty: its coarsest
    region_side: int = 14  # s: cells along a side of the grid on which a box's features are masked
    region_samples: int = 1  # points of the features a cell and axis, averaged (MNC: 1)
    pooling: int = 2  # cells along a side that max-pooling then makes one of
    fc_width: int = 4096  # channels of both fully connected layers
    # A second pair of layers sees the features unmasked, and is concatenated with the first, as in
    # MNC.
    box_pathway: bool = False
    dropout: float = 0.5  # after each fully connected layer
    sampling: SamplingOptions = field(default_factory=SamplingOptions)
    test: MergeOptions = field(default_factory=MergeOptions)

    def __post_init__(self) -> None:
        divides = self.region_side % self.pooling == 0
        require(divides, self, "pooling", f"a divisor of the {self.region_side} cells of a side")
