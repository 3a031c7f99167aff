"""InstanceFCN: features, score maps, objectness, and the masks of any windows.

Source: Dai et al. 2016, section 3. Shape letters as in ``recseg_d2.layers.assembling``; s is the
side of a mask in mask pixels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from recseg_d2.errors import require
from recseg_d2.models.instance_fcn.branches import (
    AssemblingMaskBranch,
    DeepMaskBranch,
    DeepMaskObjectnessBranch,
    ObjectnessBranch,
)
from recseg_d2.models.instance_fcn.geometry import WindowGeometry
from recseg_d2.models.instance_fcn.options import HeadOptions


@dataclass
class ProposalMaps:
    """What the network computes once for all windows of its images.

    Attributes:
        mask_maps: (B, C, h, w) what masks come from; k * k score maps where they are assembled.
        objectness: (B, 1, h, w) logits; the score of the window centred at each cell.
    """

    mask_maps: torch.Tensor
    objectness: torch.Tensor

    def float(self) -> ProposalMaps:
        """The same in float32."""
        return ProposalMaps(self.mask_maps.float(), self.objectness.float())


class InstanceFCN(nn.Module):
    """Backbone and branches.

    Args:
        backbone: (B, 3, H, W) -> features (B, in_width, H / stride, W / stride).
        in_width: channels of the features.
        stride: pixels along a side of a cell.
        options: kind and sizes of the two branches.

    Raises:
        OptionError: mask pixels would be no whole pixels.
    """

    def __init__(
        self, backbone: nn.Module, in_width: int, stride: int, options: HeadOptions
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.options = options
        self.geometry = WindowGeometry(stride, options.window)
        width, cells = options.branch_width, options.window
        self.mask_branch: AssemblingMaskBranch | DeepMaskBranch
        self.score_branch: ObjectnessBranch | DeepMaskObjectnessBranch
        if options.mask_head == "assembling":
            self.mask_branch = AssemblingMaskBranch(in_width, width, options.parts, cells)
            self.score_branch = ObjectnessBranch(in_width, width)
        else:
            self.mask_branch = DeepMaskBranch(in_width, width, cells, options.mask_side)
            self.score_branch = DeepMaskObjectnessBranch(width, width, options.score_width, cells)
        whole = stride % (self.mask_side // cells) == 0
        expected = f"mask pixels of whole pixels, of {cells} cells of {stride} pixels"
        require(whole, options, "mask_side", expected)

    @property
    def stride(self) -> int:
        """Pixels a side of a cell."""
        return self.geometry.stride

    @property
    def window(self) -> int:
        """m, cells a side of a window."""
        return self.geometry.cells

    @property
    def mask_side(self) -> int:
        """s, mask pixels a side of a window."""
        return self.mask_branch.mask_side

    def forward(self, images: torch.Tensor) -> ProposalMaps:
        """Maps of all windows.

        Args:
            images: (B, 3, H, W) normalised; H and W are multiples of the stride.
        """
        return self.branches(self.backbone(images))

    def branches(self, features: torch.Tensor) -> ProposalMaps:
        """(B, in_width, h, w) features of the backbone -> maps."""
        maps = self.mask_branch(features)
        shared = self.options.mask_head == "deepmask"  # its branches share the 1x1 convolution
        return ProposalMaps(maps, self.score_branch(maps if shared else features))

    def mask_logits(self, maps: ProposalMaps, windows: torch.Tensor) -> torch.Tensor:
        """Mask logits of some windows.

        Args:
            maps: what ``forward`` gave.
            windows: (R, 3) int64: image, row and column of the centre cell.

        Returns:
            (R, s, s), each value for a square of window side / s pixels.
        """
        return self.mask_branch.mask_logits(maps.mask_maps, windows)

    def objectness(self, maps: ProposalMaps, windows: torch.Tensor) -> torch.Tensor:
        """(R,) objectness logits of (R, 3) windows, which are centred in the map."""
        image, row, column = windows.unbind(1)
        return maps.objectness[image, 0, row, column]
