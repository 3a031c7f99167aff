"""TIFF files: any depth, any number of channels, stacks of pages.

Pillow reads what cameras and scanners write; microscopes and arrays need tifffile. What tifffile
leaves to its optional codecs, palettes and the colours of printing go to Pillow all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import IO

import numpy as np
import tifffile

from recseg_d2.errors import UserError

_MAGIC = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_PLAIN = (tifffile.PHOTOMETRIC.MINISBLACK, tifffile.PHOTOMETRIC.RGB)
_OPACITY = (tifffile.EXTRASAMPLE.ASSOCALPHA, tifffile.EXTRASAMPLE.UNASSALPHA)
_CHANNEL_AXES = "CS"  # of tifffile: channels of a microscope, samples of a pixel
_ORIENTATION = 274  # the tag of how the camera was held


@dataclass(frozen=True)
class Tiff:
    """What a TIFF holds.

    Attributes:
        pages: (P, H, W, C) of the file's type, turned as the camera noted.
        axes: names of the file's axes, for messages.
        has_opacity: whether the last channel is opacity.
    """

    pages: np.ndarray
    axes: str
    has_opacity: bool


@dataclass(frozen=True)
class TiffHeader:
    """What a TIFF says of itself, read without its pixels.

    Attributes:
        axes: a letter for each entry of ``shape``: Y, X, C or S for channels, others for pages.
        shape: shape of the stored array.
        dtype: type of the pixels.
        has_opacity: whether the last channel is opacity.
        orientation: how the camera was held, 1 to 8.
        is_plain: whether its numbers are intensities, rather than indices or inks.
    """

    axes: str
    shape: tuple[int, ...]
    dtype: np.dtype
    has_opacity: bool
    orientation: int
    is_plain: bool

    def count(self, axes: str) -> int:
        """Product of the lengths along some axes, those that it has of them."""
        return prod(n for n, axis in zip(self.shape, self.axes, strict=True) if axis in axes)

    @property
    def pages(self) -> int:
        """Images in the file."""
        return prod(self.shape) // max(1, self.count("YX" + _CHANNEL_AXES))


def is_tiff(file: IO[bytes]) -> bool:
    """Whether an open file begins as a TIFF; it is left at its start."""
    start = file.read(4)
    file.seek(0)
    return start in _MAGIC


def read_header(file: IO[bytes], source: str, axes: str = "") -> TiffHeader:
    """What the file says of its first series of images.

    Args:
        file: open, see ``is_tiff``.
        source: name of the file, for messages.
        axes: names the axes of the array; "": as the file says.

    Raises:
        UserError: it is damaged, or ``axes`` are not those of its array.
    """
    with _opened(file, source) as tiff:
        return _header(tiff, source, axes)


def read_tiff(file: IO[bytes], source: str, axes: str = "") -> Tiff | None:
    """All pages of the first series of images.

    The arguments are those of ``read_header``.

    Returns:
        The pages; None where it is Pillow that can read the file.

    Raises:
        UserError: as ``read_header``, or the pixels are cut short.
    """
    with _opened(file, source) as tiff:
        header = _header(tiff, source, axes)
        if not header.is_plain:
            return None
        try:
            stored = tiff.series[0].asarray()
        except ValueError as error:
            if "imagecodecs" in str(error):
                return None
            raise
    pages = _pages_first(stored.reshape(header.shape), header.axes)
    return Tiff(_upright(pages, header.orientation), header.axes, header.has_opacity)


@contextmanager
def _opened(file: IO[bytes], source: str) -> Iterator[tifffile.TiffFile]:
    """A file whose errors become a ``UserError``, whatever damage makes of the reader."""
    try:
        with tifffile.TiffFile(file) as tiff:
            yield tiff
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{source}: cannot be read as a TIFF ({error}); copy or export it again."
        ) from error


def _header(tiff: tifffile.TiffFile, source: str, axes: str) -> TiffHeader:
    series = tiff.series[0]
    page = series.keyframe
    stored, shape = series.axes, series.shape
    if axes:
        stored, shape = axes.upper(), tuple(n for n in shape if n > 1) or (1,)
        if len(stored) != len(shape) or not {"Y", "X"} <= set(stored):
            raise UserError(
                f"{source}: axes are {axes!r}, but its array is "
                f"{' x '.join(map(str, shape))} ({series.axes}); name Y, X and the others, one "
                "letter each."
            )
    if not {"Y", "X"} <= set(stored) or page.dtype is None:
        raise UserError(f"{source}: found a TIFF of axes {stored}, expected an image.")
    orientation = page.tags.get(_ORIENTATION)
    extra = page.extrasamples[-1:] if page.extrasamples else ()
    colour = page.photometric == tifffile.PHOTOMETRIC.RGB and page.samplesperpixel == 4
    return TiffHeader(
        stored,
        tuple(shape),
        np.dtype(page.dtype),
        colour or any(sample in _OPACITY for sample in extra),
        int(orientation.value) if orientation is not None else 1,
        page.photometric in _PLAIN and page.dtype != np.bool_,
    )


def _pages_first(stored: np.ndarray, axes: str) -> np.ndarray:
    """An array as (P, H, W, C)."""
    others = [n for n, axis in enumerate(axes) if axis not in "YX" + _CHANNEL_AXES]
    channels = [n for n, axis in enumerate(axes) if axis in _CHANNEL_AXES]
    rows, columns = axes.index("Y"), axes.index("X")
    moved = stored.transpose([*others, rows, columns, *channels])
    pages = prod(stored.shape[n] for n in others)
    return moved.reshape(pages, stored.shape[rows], stored.shape[columns], -1)


def _upright(pages: np.ndarray, orientation: int) -> np.ndarray:
    """(P, H, W, C) turned and mirrored as the eight orientations of cameras say."""
    if orientation in (5, 6, 7, 8):
        pages = pages.swapaxes(1, 2)
    if orientation in (3, 4, 7, 8):
        pages = pages[:, ::-1]
    if orientation in (2, 3, 6, 7):
        pages = pages[:, :, ::-1]
    return pages
