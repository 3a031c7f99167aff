"""An image whose objects were found by a model and are corrected by hand.

Shape letters: H W the image's pixels.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from detectron2.structures import Instances

from recseg_d2.app.edits import EditedLabels
from recseg_d2.app.finder import Finder
from recseg_d2.data.io.images import for_display
from recseg_d2.engine.outputs import PredictedImage
from recseg_d2.errors import UserError
from recseg_d2.meta_arch.base import make_instances
from recseg_d2.postprocess import label_map_of
from recseg_d2.structures import LabelMapMasks
from recseg_d2.visualization import draw_masks, instance_colors
from recseg_d2.visualization.panels import fitted_size, resize_picture

ADD, DELETE, PAINT, ERASE = MODES = ("Add", "Delete", "Paint", "Erase")

_SHOWN = (768, 1600)  # longest side of the picture, at least and at most, in pixels
_FILL = 0.2  # share of an object's colour within its outline; the image has to be seen
_BY_HAND = 1.0  # score of an object that a person drew or pointed at


class CorrectedImage:
    """An image, its objects, and what a person does to them.

    Args:
        path: the image's file.
        image: its pixels, as ``Finder.read`` returned them.

    Attributes:
        content: the file's bytes, which are kept as long as the image is.
        edits: the objects' label map, with undo.
    """

    def __init__(self, path: Path, image: np.ndarray) -> None:
        self.path, self.content, self._image = path, path.read_bytes(), image
        self._rgb = np.ascontiguousarray(for_display(image)[..., ::-1])
        self.edits = EditedLabels((image.shape[0], image.shape[1]))
        self._known: dict[int, tuple[float, int]] = {}  # score and class, by number
        self._touched = 0  # the object that a brush goes on with

    def find(self, finder: Finder, score: float, scale: float | None) -> int:
        """Let the model find all objects, in place of those that are there; returns how many.

        Args:
            finder: the model.
            score: least score of an object, 0 to 1.
            scale: what the image is magnified by; None for models that work at one size.
        """
        found = finder.find(self._image, score, scale)
        numbers = self.edits.replace(label_map_of(found))
        for label, number in numbers.items():
            self._know(number, found, label - 1)
        return len(numbers)

    def point(self, finder: Finder, place: tuple[int, int], scale: float | None) -> None:
        """Add the object at a place, x and y in pixels, that the model sees there.

        Raises:
            UserError: the model cannot be pointed with, an object is there already, or the model
                sees nothing new there.
        """
        if not finder.can_point:
            raise UserError(
                "This model cannot be asked for the object at a place; draw it with the brush "
                "(Paint)."
            )
        if self.edits.number_at(*place[::-1]):  # else what the window shows beside it is added
            raise UserError(
                "There is an object at this place already; delete it, or mend it with the brush."
            )
        centre = (place[0] + 0.5, place[1] + 0.5)
        found = finder.object_at(self._image, centre, self.edits.labels, scale)
        mask = label_map_of(found) > 0
        number = self.edits.add(mask)
        if not number:
            raise UserError(
                "The model sees no further object at this place; draw it with the brush (Paint)."
            )
        self._known[number] = (_BY_HAND, int(found.pred_classes[0]))
        self._touched = number

    def brush(self, mode: str, place: tuple[int, int], radius: float) -> None:
        """Use a tool at a place.

        The brush and the eraser work on the object at the place, or where there is none on the
        last one that was touched; a brush that has touched none draws a new one.

        Args:
            mode: ``DELETE``, ``PAINT`` or ``ERASE``.
            place: x and y in pixels.
            radius: of the brush, in pixels.
        """
        x, y = place
        if mode == DELETE:
            self.edits.delete(y, x)
            return
        there = set(self.edits.numbers)
        number = self.edits.number_at(y, x) or (self._touched if self._touched in there else 0)
        tool = self.edits.paint if mode == PAINT else self.edits.erase
        self._touched = tool(number, y, x, radius) or number
        if self._touched:
            self._known.setdefault(self._touched, (_BY_HAND, 0))

    def new_object(self) -> None:
        """Let the brush begin another object where it touches none."""
        self._touched = 0

    def picture(self, first: int | None = None) -> np.ndarray:
        """The image with the outlines of its objects.

        Args:
            first: how many of the objects to show, in the order in which they came; None is all.

        Returns:
            (h, w, 3) uint8 RGB, in the image's proportions.
        """
        size = self._picture_size()
        rows, columns = (
            np.arange(shown) * own // shown
            for shown, own in zip(size, self.edits.labels.shape, strict=True)
        )
        labels = self.edits.labels[rows[:, None], columns]
        if first is not None:
            labels = np.where(np.isin(labels, self.edits.numbers[:first]), labels, 0)
        numbers = np.unique(labels)
        colors = instance_colors(int(numbers.max()))[numbers[numbers > 0] - 1]
        return draw_masks(resize_picture(self._rgb, size), labels, colors, _FILL)

    def place_in_image(self, x: float, y: float) -> tuple[int, int]:
        """The pixel, x and y, of the image that a pixel of the picture shows."""
        (height, width), size = self.edits.labels.shape, self._picture_size()
        return int(x * width / size[1]), int(y * height / size[0])

    def predicted(self) -> PredictedImage:
        """The image and its objects, as the writers of predictions take them."""
        numbers = self.edits.numbers
        known = [self._known[number] for number in numbers]
        masks = LabelMapMasks(torch.from_numpy(self.edits.labels), torch.tensor(numbers).long())
        instances = make_instances(
            masks,
            torch.tensor([score for score, _ in known]),
            torch.tensor([kind for _, kind in known]).long(),
        )
        pixels = self._image[..., ::-1] if self._image.shape[2] == 3 else self._image
        return PredictedImage(self.path, self._rgb, instances, pixels=pixels)

    def label_map(self) -> np.ndarray:
        """(H, W) int32, the objects numbered from 1 in the order in which they came."""
        labels = np.unique(self.edits.labels, return_inverse=True)[1].astype(np.int32)
        return labels.reshape(self.edits.labels.shape) + (
            0 if (self.edits.labels == 0).any() else 1
        )

    def _know(self, number: int, found: Instances, k: int) -> None:
        self._known[number] = (float(found.scores[k]), int(found.pred_classes[k]))

    def _picture_size(self) -> tuple[int, int]:
        height, width = self.edits.labels.shape
        return fitted_size((height, width), min(max(_SHOWN[0], height, width), _SHOWN[1]))
