"""Image files, as they are opened and limited; see ``images`` for reading them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from detectron2.utils.file_io import PathManager
from PIL import Image, UnidentifiedImageError

from recseg_d2.errors import UserError

IMAGE_EXTENSIONS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp")

# What Pillow raises on files that are damaged, cut short, too large, or no images.
_PILLOW_ERRORS = (OSError, SyntaxError, ValueError, Image.DecompressionBombError)


def is_image_name(path: Path) -> bool:
    """Whether a file is called as images are; hidden ones, as macOS leaves them, are none."""
    return path.suffix.lower() in IMAGE_EXTENSIONS and not path.name.startswith(".")


def limit_pixels(most: int) -> None:
    """Set the most pixels that an image may have; a small file can hold one that fills the memory.

    It is twice Pillow's own limit, at which Pillow warns.
    """
    Image.MAX_IMAGE_PIXELS = most // 2


@contextmanager
def open_image(path: str | Path) -> Iterator[Image.Image]:
    """Open an image file, or anything else that Detectron2's ``PathManager`` opens.

    Yields:
        The image, of which Pillow has read the header; its pixels are to be read within the
        ``with`` statement, where Pillow's errors become ``UserError``.

    Raises:
        UserError: there is no such file, or it is no image, damaged, cut short or too large.
    """
    try:
        with PathManager.open(str(path), "rb") as file, Image.open(file) as image:
            yield image
    except UserError:  # is a ValueError too
        raise
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file; check the path.") from error
    except Image.DecompressionBombError as error:
        raise UserError(too_large(path)) from error
    except _PILLOW_ERRORS as error:
        unknown = isinstance(error, UnidentifiedImageError)  # whose text names the open file
        reason = "it is of no format that Pillow reads" if unknown else error
        raise UserError(
            f"{path}: cannot be read as an image ({reason}); copy, convert or export it again."
        ) from error


def too_large(path: str | Path) -> str:
    """What to say of an image that has more pixels than ``limit_pixels`` allows."""
    most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
    return (
        f"{path}: has more than {most:,} pixels, the most that an image may have. Cut it into "
        "tiles, or raise the limit (--max-pixels, INPUT.MAX_PIXELS) if you trust the file."
    )
