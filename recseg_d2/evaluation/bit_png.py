"""Masks in PNG files of one bit a pixel, without unpacking what is empty.

Pillow needs milliseconds to pack or unpack a large mask, of which most is empty. Here it stays a
deflated bitmap until it is cut down to its box. Only plain files are read, which Pillow writes for
masks too; any other is left to Pillow. Source: the PNG specification, ISO/IEC 15948.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from recseg_d2.files import write_whole

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_HEADER = struct.Struct(">IIBBBBB")  # width, height, depth, colours, three methods
_PLAIN = (1, 0, 0, 0, 0)  # one bit of grey, deflated, not interlaced
_KNOWN = {b"IHDR", b"IDAT", b"IEND"}  # any other chunk may change what the bits mean
_FRAME = 12  # bytes of a chunk besides its content: length, kind, checksum
_LEVEL = 1  # of zlib: a kilobyte more than the default, and read five times as fast
_LEFT, _ABOVE = 1, 2  # filters: bytes are differences to the one on the left, or above


def write_bitmap(path: str | Path, mask: np.ndarray) -> None:
    """Write an (H, W) bool mask as a one-bit PNG file, 1 (white) inside.

    Raises:
        UserError: the file cannot be written.
    """
    height, width = mask.shape
    rows = np.pad(np.packbits(mask, axis=1), ((0, 0), (1, 0)))  # each begins with its filter, 0
    contents = {
        b"IHDR": _HEADER.pack(width, height, *_PLAIN),
        b"IDAT": zlib.compress(rows.tobytes(), _LEVEL),
        b"IEND": b"",
    }
    chunks = [_chunk(kind, body) for kind, body in contents.items()]
    with write_whole(path, "wb", durable=False) as file:
        file.write(_SIGNATURE + b"".join(chunks))


def read_bitmap(path: str | Path) -> tuple[int, np.ndarray] | None:
    """The rows of a plain one-bit grey PNG file as they are packed.

    Args:
        path: an image file.

    Returns:
        The width in pixels, and (H, ceil(width / 8)) uint8, the leftmost pixel in the highest bit;
        bits beyond the width are undefined. None if the file is of any other kind, or damaged.

    Raises:
        OSError: the file cannot be read.
    """
    chunks = _split(Path(path).read_bytes())
    if chunks is None or not _KNOWN.issuperset(kind for kind, _ in chunks):
        return None
    width, height, *form = _HEADER.unpack(chunks[0][1])
    if tuple(form) != _PLAIN:
        return None
    row_bytes = 1 + -(-width // 8)
    packed = b"".join(body for kind, body in chunks if kind == b"IDAT")
    try:
        data = zlib.decompress(packed, bufsize=max(1, height * row_bytes))
    except zlib.error:
        return None
    if len(data) != height * row_bytes:
        return None
    rows = _without_filters(np.frombuffer(data, dtype=np.uint8).reshape(height, row_bytes))
    return None if rows is None else (width, rows)


def _without_filters(rows: np.ndarray) -> np.ndarray | None:
    """The bytes that filtered rows stand for; None for filters that masks hardly ever need."""
    filters, pixels = rows[:, 0], rows[:, 1:]
    if filters.max(initial=0) > _ABOVE:
        return None
    if filters.any():
        pixels = pixels.copy()  # to be changed row by row
    for k in np.flatnonzero(filters):
        if filters[k] == _LEFT:
            pixels[k] = np.cumsum(pixels[k], dtype=np.uint8)
        elif k > 0:
            pixels[k] += pixels[k - 1]
    return pixels


def _chunk(kind: bytes, body: bytes) -> bytes:
    length, checksum = struct.pack(">I", len(body)), struct.pack(">I", zlib.crc32(kind + body))
    return length + kind + body + checksum


def _split(data: bytes) -> list[tuple[bytes, bytes]] | None:
    """Kind and content of each chunk; None if this is no whole PNG file."""
    if not data.startswith(_SIGNATURE):
        return None
    chunks, at = [], len(_SIGNATURE)
    while at + _FRAME <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        kind, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + length]
        if data[at : at + _FRAME + length] != _chunk(kind, body):
            return None
        chunks.append((kind, body))
        at += _FRAME + length
    whole = bool(chunks) and chunks[0][0] == b"IHDR" and chunks[-1][0] == b"IEND"
    return chunks if whole and len(chunks[0][1]) == _HEADER.size else None
