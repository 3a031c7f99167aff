"""What is known of a feature map's shape. May use: the standard library only."""

from dataclasses import dataclass


@dataclass
class ShapeSpec:
    """Channels, size in pixels, and stride relative to the image; None is unknown."""

    channels: int | None = None
    height: int | None = None
    width: int | None = None
    stride: int | None = None
