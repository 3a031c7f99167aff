"""Synthetic images as files, in the layouts of well-known data sets.

For trying a data set's loader, its configs and the tools without the data itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recseg_d2.data.layouts import LAYOUTS
from recseg_d2.errors import UserError


def export_dataset(
    layout: str, out: str | Path, train_seeds: Sequence[int], val_seeds: Sequence[int], size: int
) -> None:
    """Write synthetic images as a data set.

    Args:
        layout: one of ``recseg_d2.data.layouts.LAYOUTS``, whose functions say what they write.
        out: a folder, empty or not there yet.
        train_seeds: images for training, one a seed.
        val_seeds: images for validation, or the test set of CVPPP, one a seed.
        size: in pixels; the layout's function says which side.

    Raises:
        UserError: the layout is unknown, or ``out`` has something in it.
    """
    out = Path(out)
    if layout not in LAYOUTS:
        raise UserError(f"layout: found {layout!r}, expected one of {', '.join(LAYOUTS)}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not an empty folder; name a new one, or empty it.")
    for part, seeds in (("train", train_seeds), ("val", val_seeds)):
        LAYOUTS[layout](out, part, list(seeds), size)
