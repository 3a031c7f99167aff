"""The class of a mask proposal from the features within it.

Shape letters: R proposals, C classes, D channels of the features, s cells a side of a box's grid.

Sources: Dai et al. 2016, "Instance-sensitive fully convolutional networks" (InstanceFCN), section
5: the RoI pooling of Fast R-CNN is replaced by a layer that masks the box's features by the
proposal; Dai et al. 2016, "Instance-aware semantic segmentation via multi-task network cascades"
(MNC), section 3.3, which has a second pathway that sees the box's features unmasked.
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.models.mask_proposal_classifier.options import ClassifierOptions

INIT_STD = 0.01  # of the last layer's weights, as in Fast R-CNN

# Place in a pathway: torchvision's names of VGG-16's fully connected layers.
_IMAGENET_NAMES = {1: "classifier.0", 4: "classifier.3"}


class ProposalClassifier(nn.Module):
    """Masked box features, max-pooling, two fully connected layers, C + 1 scores.

    Of torchvision's VGG-16 trained on ImageNet, the layers known as fc6 and fc7 become the first
    values of the two layers where they fit: with 512 channels, 7 cells a side after pooling and a
    width of 4096.

    Args:
        in_width: D, channels of the features.
        num_classes: C, number of classes; the background comes after them.
        options: the sizes of the layers.
    """

    def __init__(self, in_width: int, num_classes: int, options: ClassifierOptions) -> None:
        super().__init__()
        self.side, self.pooling = options.region_side, options.pooling
        flat, width = in_width * (self.side // self.pooling) ** 2, options.fc_width
        self.mask_pathway = _pathway(flat, width, options.dropout)
        self.box_pathway = _pathway(flat, width, options.dropout) if options.box_pathway else None
        self.score = nn.Linear(width * (2 if options.box_pathway else 1), num_classes + 1)
        nn.init.normal_(self.score.weight, std=INIT_STD)
        nn.init.zeros_(self.score.bias)
        self._register_load_state_dict_pre_hook(self._take_imagenet_layers)

    def forward(self, features: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Scores of proposals.

        Args:
            features: (R, D, s, s), what was sampled in each proposal's box.
            masks: (R, s, s) in [0, 1], share of each cell that the proposal covers.

        Returns:
            (R, C + 1) logits; the last is the background's.
        """
        masked = features * masks[:, None].to(features.dtype)
        read = self.mask_pathway(F.max_pool2d(masked, self.pooling))
        if self.box_pathway is not None:
            unmasked = self.box_pathway(F.max_pool2d(features, self.pooling))
            read = torch.cat([read, unmasked], dim=1)
        return cast(torch.Tensor, self.score(read))

    def _take_imagenet_layers(self, state: dict[str, Any], prefix: str, *_: Any) -> None:
        """Before loading: give VGG-16's layers this model's names, unless it has values."""
        for name, parameter in self.named_parameters():
            pathway, place, kind = (*name.split("."), "")[:3]
            if prefix + name in state or not pathway.endswith("_pathway"):
                continue
            value = state.get(f"{_IMAGENET_NAMES[int(place)]}.{kind}")
            if value is not None and value.shape == parameter.shape:
                state[prefix + name] = value


def _pathway(in_width: int, width: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(in_width, width),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(width, width),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
    )
