"""The dense attention model: look where an object is left, segment it, remember it.

Shape letters: B images, C classes, H W the image in pixels, K windows of G x G cells.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.layers.conv_blocks import conv_norm_relu, with_bias
from recseg_d2.models.dense_attention.canvas import CANVAS_CHANNELS
from recseg_d2.models.dense_attention.heat import HeatFeatures, HeatMap
from recseg_d2.models.dense_attention.options import NetworkOptions
from recseg_d2.models.dense_attention.trunk import COARSE_STRIDE, FINE_STRIDE, UNetDecoder
from recseg_d2.models.dense_attention.window_network import WindowNetwork, WindowOutputs
from recseg_d2.models.dense_attention.window_reading import PooledMaps, read_windows
from recseg_d2.models.dense_attention.windows import Windows, place_maps, windows_around

DIRECTIONS = 8  # bins of the direction towards an object's centre
_PLACE_CHANNELS = 2
_REACH = (-2.0, 7.0)  # logarithms of the least and the greatest distance to an edge of a box


@dataclass
class Encoding:
    """What the trunk makes of a batch of images, once; everything after it reads from here.

    Attributes:
        images: (B, channels, H, W), the normalised images.
        fine: (B, F, H/2, W/2), features at stride 2.
        coarse: (B, F', H/8, W/8), features at stride 8, projected for windows.
        boxes: (B, 4, H/2, W/2), distances in pixels from each place to the left, top, right and
            bottom edge of the object there.
        heat: the features' share of the heat map.
        pooled: the images and their means.
    """

    images: torch.Tensor
    fine: torch.Tensor
    coarse: torch.Tensor
    boxes: torch.Tensor
    heat: HeatFeatures
    pooled: PooledMaps = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.pooled = PooledMaps(self.images)  # as the windows of all rounds read them


class DenseAttention(nn.Module):
    """Trunk, heat map, box field and window network.

    Args:
        encoder: images to a list of feature maps at strides 2, 4, 8, ..., finest first.
        widths: channels of these maps, at least three.
        options: sizes of the other parts.
        in_channels: number of channels of the images.
        num_classes: C, number of classes.
    """

    def __init__(
        self,
        encoder: nn.Module,
        widths: Sequence[int],
        options: NetworkOptions,
        in_channels: int,
        num_classes: int,
    ) -> None:
        super().__init__()
        self.options = options
        coarse, head = options.coarse_width, options.head_width
        self.encoder = encoder
        # Height and width of images have to be multiples of it.
        self.stride = FINE_STRIDE * 2 ** (len(widths) - 1)
        self.decoder = UNetDecoder(widths, coarse)
        self.auxiliary = nn.Conv2d(widths[0], 1 + DIRECTIONS, 1)
        self.box = nn.Sequential(
            conv_norm_relu(widths[0], head),
            with_bias(nn.Conv2d(head, 4, 1), 2.2),  # a logarithm: 9 pixels to each side
        )
        self.box_coarse = nn.Conv2d(coarse, 4, 1)
        self.heat = HeatMap(widths[0], coarse, head)
        self.window_coarse = nn.Conv2d(coarse, options.window_coarse_width, 1)
        read = widths[0] + options.window_coarse_width + in_channels
        self.window = WindowNetwork(
            read + CANVAS_CHANNELS + _PLACE_CHANNELS, options.window_widths, num_classes
        )
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def encode(self, images: torch.Tensor) -> Encoding:
        """Normalised images (B, channels, H, W), H and W multiples of ``stride``."""
        images = images.contiguous(memory_format=torch.channels_last)
        fine, coarse = self.decoder(self.encoder(images))
        ratio = COARSE_STRIDE // FINE_STRIDE
        far = F.interpolate(self.box_coarse(coarse), scale_factor=float(ratio), mode="bilinear")
        distances = (self.box(fine) + far).float().clamp(*_REACH).exp()
        heat = self.heat.prepare(fine, coarse)
        # windows are read, and boxes computed, in float32 whatever the precision of convolutions
        return Encoding(images, fine.float(), self.window_coarse(coarse).float(), distances, heat)

    def windows(self, boxes: torch.Tensor) -> torch.Tensor:
        """The windows (K, 3) in which objects with these boxes (K, 4) are segmented."""
        return windows_around(boxes, self.options.context, self.options.margin)

    def windows_at(self, places: torch.Tensor, boxes: torch.Tensor) -> Windows:
        """The windows of places (K, 2) with these boxes (K, 4); a device is waited for."""
        squares = self.windows(boxes)
        return Windows(places, boxes, squares, squares[:, 2].tolist())

    @property
    def largest_window(self) -> float:
        """Side in pixels that no window exceeds."""
        return 2 * math.exp(_REACH[1]) * self.options.context + self.options.margin + 1

    def look(
        self,
        encoding: Encoding,
        canvas: torch.Tensor,
        windows: Windows,
        images: Sequence[int] | None = None,
        canvases: Sequence[int] | None = None,
    ) -> torch.Tensor:
        """What the window network sees of windows.

        Args:
            encoding: what ``encode`` made of the batch.
            canvas: (1, 2, H, W), or (N, 2, H, W) of which ``canvases`` says which is whose.
            windows: K windows, as ``windows_at`` makes them.
            images: for each window the index of its image, where the batch has several.
            canvases: for each window the index of its canvas, where there are several.

        Returns:
            (K, channels, G, G).
        """
        cells, squares, sides = self.options.cells, windows.squares, windows.sides
        parts = [
            read_windows(encoding.fine, squares, cells, FINE_STRIDE, sides, images),
            read_windows(encoding.coarse, squares, cells, COARSE_STRIDE, sides, images),
            read_windows(encoding.pooled, squares, cells, 1, sides, images),
            read_windows(canvas, squares, cells, 1, sides, canvases),
            place_maps(squares, windows.places, windows.boxes, cells),
        ]
        return torch.cat(parts, dim=1).contiguous(memory_format=torch.channels_last)

    def segment(self, seen: torch.Tensor) -> WindowOutputs:
        """Masks, scores and classes of what ``look`` returned."""
        return self.window(seen)
