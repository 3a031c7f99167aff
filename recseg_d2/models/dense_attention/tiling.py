"""Large images in overlapping tiles.

What one tile finds is on the canvas of the next, so that nothing is found twice. An object that
reaches an edge where its tile ends and the image does not may be cut: it is left to the tile beside
it that holds all of it. What no tile holds as a whole is put together from its pieces in the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from recseg_d2.models.dense_attention.drawing import DrawnObject, FoundObjects, collect
from recseg_d2.models.dense_attention.model import DenseAttention
from recseg_d2.models.dense_attention.options import SearchOptions
from recseg_d2.models.dense_attention.search import Search

_EDGE = 1.5  # cells of its window; a mask that comes as near to the end of its tile may be cut
_SAME_PIECE = 0.5  # share of the smaller one that two pieces of an object have in common, at least
_COVERED = 0.5  # a piece is dropped where found objects own this share of it


@dataclass
class Tile:
    """Rows and columns of the image."""

    rows: slice
    columns: slice


@dataclass
class _Piece:
    """A mask that may be cut.

    Attributes:
        tile: number of the tile that found it.
        mask: (H, W) bool of the piece's part of the image.
        rows: rows of the image that the part covers.
        columns: columns of the image that the part covers.
        drawn: the object as it was found in its tile.
    """

    tile: int
    mask: torch.Tensor
    rows: slice
    columns: slice
    drawn: DrawnObject


def tiles_of(size: tuple[int, int], side: int, overlap: int) -> list[Tile]:
    """Tiles of at most ``side`` pixels along each axis, row by row, that overlap by ``overlap``.

    Raises:
        ValueError: the overlap leaves no step.
    """
    if overlap >= side:
        raise ValueError(f"tiles of {side} pixels cannot overlap by {overlap}.")
    starts = [_starts(length, side, overlap) for length in size]
    return [
        Tile(slice(y, min(y + side, size[0])), slice(x, min(x + side, size[1])))
        for y in starts[0]
        for x in starts[1]
    ]


def _starts(length: int, side: int, overlap: int) -> list[int]:
    """Where tiles begin along an axis: as few as possible, at even distances."""
    if length <= side:
        return [0]
    count = -(-(length - overlap) // (side - overlap))
    return [round(k * (length - side) / (count - 1)) for k in range(count)]


def search_tiles(
    model: DenseAttention,
    image: torch.Tensor,
    options: SearchOptions,
    side: int,
    overlap: int,
    progress: Callable[[int], None] | None = None,
) -> FoundObjects:
    """Search an image tile by tile.

    Args:
        model: a DenseAttention in evaluation mode.
        image: (channels, H, W), the normalised image.
        options: when the search of a tile stops, and what it keeps.
        side: side of the tiles in pixels.
        overlap: of neighbouring tiles, in pixels; objects up to this size are found whole.
        progress: is told the number of objects after each tile.
    """
    size = (image.shape[1], image.shape[2])
    labels = torch.zeros(size, dtype=torch.int32)
    objects: list[DrawnObject] = []
    pieces: list[_Piece] = []
    for number, tile in enumerate(tiles_of(size, side, overlap)):
        known = labels[tile.rows, tile.columns]
        search = Search(model, image[:, tile.rows, tile.columns], options, known)
        drawing = search.run().drawing
        own = drawing.labels[: known.shape[0], : known.shape[1]]
        for k, drawn in enumerate(drawing.objects):
            piece = _piece(own == k + 1, tile, number, drawn)
            if piece is None:
                continue
            if _is_cut(piece, tile, size):
                pieces.append(piece)
            else:
                objects.append(drawn)
                labels[piece.rows, piece.columns][piece.mask] = len(objects)
        if progress is not None:
            progress(len(objects))
    for group in _groups(_uncovered(pieces, labels)):
        objects.append(max((piece.drawn for piece in group), key=lambda drawn: drawn.score))
        for piece in group:
            part = labels[piece.rows, piece.columns]
            part[piece.mask & (part == 0)] = len(objects)
    areas = torch.bincount(labels.flatten(), minlength=len(objects) + 1)[1:].tolist()
    kept = [k for k, area in enumerate(areas) if area >= max(options.min_area, 1)]
    return collect(labels, [objects[k] for k in kept], [k + 1 for k in kept])


def _piece(mask: torch.Tensor, tile: Tile, number: int, drawn: DrawnObject) -> _Piece | None:
    """A mask of a tile in its tight frame, in coordinates of the image; None where it is empty."""
    y, x = torch.nonzero(mask, as_tuple=True)
    if not len(y):
        return None
    top, bottom, left, right = int(y.min()), int(y.max()) + 1, int(x.min()), int(x.max()) + 1
    return _Piece(
        number,
        mask[top:bottom, left:right],
        slice(top + tile.rows.start, bottom + tile.rows.start),
        slice(left + tile.columns.start, right + tile.columns.start),
        drawn,
    )


def _is_cut(piece: _Piece, tile: Tile, size: tuple[int, int]) -> bool:
    """Whether the piece comes near an edge of its tile that is none of the image."""
    near = _EDGE * max(piece.drawn.window[2] / len(piece.drawn.mask), 1)
    for own, part, length in (
        (piece.rows, tile.rows, size[0]),
        (piece.columns, tile.columns, size[1]),
    ):
        if part.start > 0 and own.start - part.start < near:
            return True
        if part.stop < length and part.stop - own.stop < near:
            return True
    return False


def _uncovered(pieces: list[_Piece], labels: torch.Tensor) -> list[_Piece]:
    """The pieces that no found object covers."""
    kept = []
    for piece in pieces:
        owned = (labels[piece.rows, piece.columns] > 0) & piece.mask
        if owned.sum() < _COVERED * piece.mask.sum():
            kept.append(piece)
    return kept


def _groups(pieces: list[_Piece]) -> list[list[_Piece]]:
    """Pieces of the same object together, the groups in the order of their first piece."""
    group = list(range(len(pieces)))
    for j, later in enumerate(pieces):
        for i, earlier in enumerate(pieces[:j]):
            if group[i] != group[j] and _same_object(earlier, later):
                old, new = max(group[i], group[j]), min(group[i], group[j])
                group = [new if g == old else g for g in group]
    return [
        [piece for piece, g in zip(pieces, group, strict=True) if g == number]
        for number in sorted(set(group))
    ]


def _same_object(one: _Piece, other: _Piece) -> bool:
    """Whether pieces of two tiles share enough of where both could be seen."""
    if one.tile == other.tile:
        return False
    rows, columns = _shared(one.rows, other.rows), _shared(one.columns, other.columns)
    if rows is None or columns is None:
        return False
    parts = [
        piece.mask[
            rows.start - piece.rows.start : rows.stop - piece.rows.start,
            columns.start - piece.columns.start : columns.stop - piece.columns.start,
        ]
        for piece in (one, other)
    ]
    shared = (parts[0] & parts[1]).sum()
    return bool(shared > 0 and shared >= _SAME_PIECE * min(part.sum() for part in parts))


def _shared(one: slice, other: slice) -> slice | None:
    start, stop = max(one.start, other.start), min(one.stop, other.stop)
    return slice(start, stop) if start < stop else None
