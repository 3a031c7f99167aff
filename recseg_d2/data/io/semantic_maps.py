"""A folder of semantic segmentations as PNGs of label ids.

Such as the output of any semantic network on Cityscapes: one PNG an image, a class's id (24 for
person, 26 for car, ...) at each of its pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from recseg_d2.data.io.label_maps import read_label_map, resize_label_map
from recseg_d2.errors import UserError


@dataclass(frozen=True)
class SemanticFolder:
    """Finds and reads the segmentation of an image.

    Attributes:
        folder: holds ``<stem><suffix>.png`` for an image ``<stem>.*``, either by itself or in a
            folder of the same name as the image's (Cityscapes' cities).
        label_ids: the value of class 0, class 1, ... in the files; all others are background.
        image_suffix: what an image's stem ends in beyond the common part ("_leftImg8bit").
        suffix: what a segmentation's stem ends in beyond it ("_labelIds").
    """

    folder: Path
    label_ids: Sequence[int]
    image_suffix: str = ""
    suffix: str = ""

    def read(self, file_name: str | Path, size: tuple[int, int]) -> torch.Tensor:
        """The segmentation of an image.

        Args:
            file_name: path of the image, of which the name and the folder's name count.
            size: H and W to bring it to (nearest pixel).

        Returns:
            (C + 1, H, W) float32, 0 or 1, the background first.

        Raises:
            UserError: there is no segmentation of that image, it cannot be read, or its shape is
                not the image's.
        """
        path = self.find(Path(file_name))
        labels = read_label_map(path)
        height, width = labels.shape
        if abs(height * size[1] - width * size[0]) > max(height, width, *size):
            raise UserError(
                f"{path}: found {height} x {width} pixels for an image of {size[0]} x {size[1]}; "
                "expected the same proportions. Is it the segmentation of another image?"
            )
        resized = resize_label_map(labels, size)
        classes = np.stack([resized == label for label in self.label_ids])
        background = ~classes.any(axis=0, keepdims=True)
        return torch.from_numpy(np.concatenate([background, classes]).astype(np.float32))

    def find(self, image: Path) -> Path:
        """The file that belongs to an image.

        Raises:
            UserError: there is none.
        """
        stem = image.stem.removesuffix(self.image_suffix) + self.suffix
        places = [self.folder / f"{stem}.png", self.folder / image.parent.name / f"{stem}.png"]
        for place in places:
            if place.is_file():
                return place
        raise UserError(
            f"{image}: no semantic segmentation; expected {places[0]} or {places[1]}. Write one "
            "for each image, or take classes from another source."
        )
