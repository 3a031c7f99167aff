"""What a user may choose of the page; ``recseg report`` makes its options from it."""

from __future__ import annotations

from dataclasses import dataclass

from recseg_d2.analysis.options import option
from recseg_d2.errors import UserError

SMALLEST_SIDE = 32  # pixels of a picture


@dataclass(frozen=True)
class ReportOptions:
    """What of the images is in the page.

    Raises:
        UserError: a number is out of its range.
    """

    title: str = option("Results", "heading of the page", "TEXT")
    max_images: int = option(
        200, "images in the page; of more, the best and the worst of the first run", "N"
    )
    side: int = option(512, "longest side of the pictures in pixels; larger ones shrink", "PIXELS")
    input: tuple[str, ...] = option(
        (), "the images of predictions whose data set is not named", "FILE_OR_FOLDER"
    )

    def __post_init__(self) -> None:
        ranges = {"max_images": (self.max_images, 0), "side": (self.side, SMALLEST_SIDE)}
        for name, (value, least) in ranges.items():
            if value < least:
                flag = "--" + name.replace("_", "-")
                raise UserError(f"{flag} is {value}; expected {least} or more.")
