"""From the box network's numbers to attention windows and boxes.

Source: Ren & Zemel 2017, eq. 6 to 10 and 25. Letters as in ``recseg_d2.structures`` and
``recseg_d2.layers.gaussian_attention``. A window is a centre and a size in pixels, with pixel
centres at integers; by eq. 11 it spans size + 1 pixels, so that an object from pixel 3 to pixel 5
has centre 4 and size 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import nn

from recseg_d2.layers.gaussian_attention import GaussianFilters, gaussian_filters, write_ones
from recseg_d2.models.recurrent_attention.options import WindowOptions


@dataclass
class Window:
    """Where a step looks, in one image each of a batch.

    Attributes:
        centre: (B, 2) y, x in pixels.
        size: (B, 2) height, width in pixels, as eq. 9 and 10 give it.
        log_variance: (B, 2) of the filters, natural logarithm of square pixels.
        patch_gain: (B,) factor of the patch that is read from the image.
        mask_gain: (B,) gamma of eq. 19, gain of the mask that is written.
        box_gain: (B,) gamma of eq. 25, gain of the Gaussian box.
    """

    centre: torch.Tensor
    size: torch.Tensor
    log_variance: torch.Tensor
    patch_gain: torch.Tensor
    mask_gain: torch.Tensor
    box_gain: torch.Tensor


class WindowDecoder(nn.Module):
    """Turns the linear layer's outputs into windows (eq. 6 to 10).

    Args:
        image_size: H and W, height and width of the image in pixels.
        patch_size: P and Q, rows and columns of the patch.
        options: how outputs of the box network become windows, MODEL.RIS.WINDOW.
    """

    image_shape: torch.Tensor
    patch_shape: torch.Tensor

    def __init__(
        self, image_size: tuple[int, int], patch_size: tuple[int, int], options: WindowOptions
    ) -> None:
        super().__init__()
        self.image_size = (int(image_size[0]), int(image_size[1]))
        self.patch_size = (int(patch_size[0]), int(patch_size[1]))
        self.options = options
        self.register_buffer("image_shape", torch.tensor(image_size).float(), persistent=False)
        self.register_buffer("patch_shape", torch.tensor(patch_size).float(), persistent=False)

    @property
    def predicted_gains(self) -> tuple[str, ...]:
        """The gains that the network predicts, in their order: of "patch", "box" and "mask"."""
        options = self.options
        predicted = {
            "patch": options.patch_gamma,
            "box": options.box_gamma == "predicted",
            "mask": options.gamma == "predicted",
        }
        return tuple(name for name, is_predicted in predicted.items() if is_predicted)

    @property
    def num_gains(self) -> int:
        """How many gains the network predicts."""
        return len(self.predicted_gains)

    @property
    def num_inputs(self) -> int:
        """Outputs that the box network's linear layer needs."""
        return 4 + (2 if self.options.variance == "predicted" else 0) + self.num_gains

    def forward(self, raw: torch.Tensor) -> Window:
        """Decode (B, num_inputs): centre, log size, log variance (y before x), log gains."""
        raw = raw.float() if raw.dtype != torch.float64 else raw  # windows need every digit
        centre = (raw[:, 0:2] + 1) * self.image_shape.to(raw.dtype) / 2
        unit = self.options.unit_size * self.image_shape.to(raw.dtype)
        size = torch.exp(raw[:, 2:4]) * unit
        given = raw[:, 4:6] if self.options.variance == "predicted" else None
        gains = torch.exp(raw[:, self.num_inputs - self.num_gains :]).unbind(1)
        return self._complete(centre, size, given, gains)

    def whole_image(self, log_gains: torch.Tensor, batch: int) -> Window:
        """The window that spans the image, for a model without box network.

        Args:
            log_gains: (num_gains,).
            batch: B, number of images.
        """
        shape = self.image_shape.to(log_gains.dtype).expand(batch, 2)
        given = torch.log(shape / self.patch_shape.to(shape.dtype))
        gains = torch.exp(log_gains).expand(batch, -1).unbind(1)
        return self._complete((shape - 1) / 2, shape - 1, given, gains)

    def move(
        self, window: Window, centre: torch.Tensor, size: torch.Tensor, where: torch.Tensor
    ) -> Window:
        """Put other boxes into a window; what was predicted beside the box stays.

        Args:
            window: the window that was predicted.
            centre: (B, 2), y and x of the new centre in pixels.
            size: (B, 2), the new height and width in pixels.
            where: (B,) bool, the images in which the box is replaced.
        """
        centre = torch.where(where[:, None], centre, window.centre)
        size = torch.where(where[:, None], size, window.size)
        given = window.log_variance if self.options.variance == "predicted" else None
        mask_gain = self._mask_gain(size, window.mask_gain)
        shared = self.options.box_gamma == "shared"
        return replace(
            window,
            centre=centre,
            size=size,
            log_variance=self._log_variance(size, given),
            mask_gain=mask_gain,
            box_gain=mask_gain if shared else window.box_gain,
        )

    def filters(self, window: Window) -> GaussianFilters:
        """Eq. 11 to 14."""
        return gaussian_filters(
            window.centre, window.size, window.log_variance, self.patch_size, self.image_size
        )

    def box_logits(self, window: Window, filters: GaussianFilters) -> torch.Tensor:
        """Eq. 25 before the sigmoid: (B, H, W)."""
        return window.box_gain[:, None, None] * write_ones(filters) - self.options.beta

    def flat_level(self, window: Window, heat: torch.Tensor) -> torch.Tensor:
        """A patch's heat map (B, P, Q) as probabilities of masks, for drawing.

        Each place gets what a flat patch of its heat would give inside of the window.
        """
        density = (self.patch_shape / (window.size + 1)).prod(dim=1)
        gain = window.mask_gain * density
        return torch.sigmoid(gain[:, None, None] * heat - self.options.beta)

    def _complete(
        self,
        centre: torch.Tensor,
        size: torch.Tensor,
        given_log_variance: torch.Tensor | None,
        gains: tuple[torch.Tensor, ...],
    ) -> Window:
        one = torch.ones_like(centre[:, 0])
        predicted = dict(zip(self.predicted_gains, gains, strict=True))
        mask = self._mask_gain(size, predicted.get("mask", one))
        log_variance = self._log_variance(size, given_log_variance)
        patch, box = predicted.get("patch", one), predicted.get("box", mask)
        return Window(centre, size, log_variance, patch, mask, box)

    def _mask_gain(self, size: torch.Tensor, predicted: torch.Tensor) -> torch.Tensor:
        if self.options.gamma == "predicted":
            return predicted
        gain = torch.full_like(size[:, 0], self.options.log_gamma)
        if self.options.gamma == "area":
            gain = gain + torch.log((size + 1) / self.patch_shape.to(size.dtype)).sum(1)
        return gain.exp()

    def _log_variance(self, size: torch.Tensor, given: torch.Tensor | None) -> torch.Tensor:
        if self.options.variance == "unit":
            return torch.zeros_like(size)
        if given is None or self.options.variance == "box":
            given = torch.log(size / self.patch_shape.to(size.dtype))
        lowest = self.options.min_variance
        return given.clamp(min=math.log(lowest)) if lowest else given
