"""What the recurrent attention model hands from step to step, and what it emits in the end.

Source and letters as in ``model``; G glimpses, P Q the patch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from recseg_d2.models.recurrent_attention.box_network import Glance
from recseg_d2.models.recurrent_attention.foreground_angle import ForegroundAngleMaps
from recseg_d2.models.recurrent_attention.windows import Window, WindowDecoder
from recseg_d2.structures import InstanceSequence


@dataclass
class AttentionSequence(InstanceSequence):
    """An ``InstanceSequence`` with the Gaussian boxes that this model's loss compares.

    Attributes:
        box_logits: (B, T, H, W), eq. 25 before its sigmoid; None without box network.
        maps: what the pre-processor says of the images; None without it.
    """

    box_logits: torch.Tensor | None = None
    maps: ForegroundAngleMaps | None = None


@dataclass
class SharedInput:
    """What all steps of a sequence share: made once an image.

    Attributes:
        rows: (B, H, C, W), the image and the pre-processor's maps, as ``read_patch`` takes them.
        prepared: the box network's first convolution over them; None without that network.
    """

    rows: torch.Tensor
    prepared: torch.Tensor | None


@dataclass
class Step:
    """One step.

    Attributes:
        mask_logits: (B, H, W), the mask of the step.
        features: (B, F), what scores and classes are read from.
        window: predicted, before any ground truth took its place.
        box_logits: (B, H, W), the Gaussian box of the step; None without box network.
        glance: what the box network saw and decided; None without box network.
        heat: (B, P, Q), the segmentation network's heat map; None without that network.
    """

    mask_logits: torch.Tensor
    features: torch.Tensor
    window: Window
    box_logits: torch.Tensor | None = None
    glance: Glance | None = None
    heat: torch.Tensor | None = None


def trace_of(taken: Sequence[Step], windows: WindowDecoder) -> dict[str, torch.Tensor]:
    """What figures show of a sequence, as far as the networks have it.

    Args:
        taken: the steps, in order.
        windows: the model's decoder of windows.

    Returns:
        "glimpses" (B, T, G, h, w); "box_maps" (B, T, H, W); "box_params" (B, T, 4), centre y, x and
        height, width in pixels; "patch_masks" (B, T, P, Q), probabilities.
    """
    named: dict[str, list[torch.Tensor]] = {}
    for step in taken:
        if step.glance is not None and step.box_logits is not None:
            named.setdefault("glimpses", []).append(step.glance.attention)
            named.setdefault("box_maps", []).append(step.box_logits.sigmoid())
            numbers = torch.cat([step.window.centre, step.window.size], dim=1)
            named.setdefault("box_params", []).append(numbers)
        if step.heat is not None:
            probability = windows.flat_level(step.window, step.heat)
            named.setdefault("patch_masks", []).append(probability)
    return {name: torch.stack(values, dim=1) for name, values in named.items()}
