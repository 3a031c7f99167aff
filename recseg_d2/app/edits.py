"""A label map that is corrected by hand: objects come, go, grow and shrink; all can be undone.

Shape letters: H W the image's pixels.
"""

from __future__ import annotations

import numpy as np

Region = tuple[slice, slice]


class EditedLabels:
    """A label map and the steps that lead back to what it was.

    Numbers are never used twice, so that an object keeps its number through all edits.

    Args:
        size: height and width of the image in pixels.

    Attributes:
        labels: (H, W) int32; 0 is background. It is read, and changed by the methods alone.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self.labels = np.zeros(size, np.int32)
        self._last = 0
        self._before: list[tuple[Region, np.ndarray]] = []  # a part each edit replaced

    @property
    def numbers(self) -> list[int]:
        """The objects that have a pixel, in the order in which they came."""
        return [int(number) for number in np.unique(self.labels) if number]

    @property
    def count(self) -> int:
        """How many objects there are."""
        return len(self.numbers)

    def replace(self, labels: np.ndarray) -> dict[int, int]:
        """Take other objects in place of all.

        Args:
            labels: (H, W) integer label map; 0 is background.

        Returns:
            The number here of each label, in increasing order of both.
        """
        values = [int(value) for value in np.unique(labels) if value]
        given = {value: self._last + k for k, value in enumerate(values, start=1)}
        new = np.zeros_like(self.labels)
        for value, number in given.items():
            new[labels == value] = number
        self._last += len(values)
        self._keep(_whole(self.labels))
        self.labels[:] = new
        return given

    def add(self, mask: np.ndarray) -> int:
        """Add an object on the free pixels of a mask, (H, W) bool.

        Returns:
            Its number; 0 where no pixel of the mask is free, and nothing changes.
        """
        return self._write(mask & (self.labels == 0), self._last + 1)

    def delete(self, y: int, x: int) -> int:
        """Remove the object at a pixel.

        Returns:
            The number that it had; 0 where there is none, and nothing changes.
        """
        number = self.number_at(y, x)
        if number:
            self._write(self.labels == number, 0)
        return number

    def paint(self, number: int, y: int, x: int, radius: float) -> int:
        """Give the pixels under a round brush to an object, whoever had them.

        Args:
            number: the object; 0 makes a new one.
            y: row of the brush's centre.
            x: its column.
            radius: in pixels, 0 or more; pixels at this distance are painted too.

        Returns:
            The object's number; 0 where the brush lies beyond the image, and nothing changes.
        """
        number = number or self._last + 1
        return self._write(self._under_brush(y, x, radius) & (self.labels != number), number)

    def erase(self, number: int, y: int, x: int, radius: float) -> int:
        """Free the pixels under a round brush that an object has; arguments as ``paint``.

        Returns:
            The object's number; 0 where none of its pixels is under the brush.
        """
        if not number:
            return 0
        inside = self._under_brush(y, x, radius) & (self.labels == number)
        self._write(inside, 0)
        return number if inside.any() else 0

    def undo(self) -> bool:
        """Take the last edit back, exactly; returns whether there was one."""
        if not self._before:
            return False
        region, pixels = self._before.pop()
        self.labels[region] = pixels
        return True

    def number_at(self, y: int, x: int) -> int:
        """The object at a pixel; 0 where there is none, or the pixel lies beyond the image."""
        height, width = self.labels.shape
        return int(self.labels[y, x]) if 0 <= y < height and 0 <= x < width else 0

    def _under_brush(self, y: int, x: int, radius: float) -> np.ndarray:
        rows, columns = np.ogrid[: self.labels.shape[0], : self.labels.shape[1]]
        under: np.ndarray = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
        return under

    def _write(self, mask: np.ndarray, number: int) -> int:
        """Set the pixels of a mask; returns the number, or 0 where the mask is empty."""
        if not mask.any():
            return 0
        region = _around(mask)
        self._keep(region)
        self.labels[region][mask[region]] = number
        self._last = max(self._last, number)
        return number

    def _keep(self, region: Region) -> None:
        self._before.append((region, self.labels[region].copy()))


def _whole(labels: np.ndarray) -> Region:
    return slice(0, labels.shape[0]), slice(0, labels.shape[1])


def _around(mask: np.ndarray) -> Region:
    """The rows and columns that hold a mask with a pixel or more."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
