"""Regions of interest that ImageJ or Fiji saved, a file an image.

    X.zip    the ROI manager's; X.roi has a single region

Regions have no classes there. Of names as ``recseg convert --to imagej`` writes them, "0001-leaf",
the class is what follows the number; all others are of class "object".
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from recseg_d2.data.outline_tracing import join_rings
from recseg_d2.data.sources.base import ONE_CLASS
from recseg_d2.data.sources.beside import OutlinesBeside
from recseg_d2.data.sources.outlines import Outline
from recseg_d2.errors import UserError

# ImageJ's own names are numbers alone: "0001-0123-0456".
_NAME = re.compile(r"\d+-(?![\d-]+$)(.+)")
_AREAS = ("POLYGON", "RECT", "OVAL", "FREEHAND", "TRACED")


class ImageJRois(OutlinesBeside):
    """Images with files of ROIs; see the module's docstring."""

    ENDINGS: ClassVar = (".zip", ".roi")

    def read_file(self, file: Path) -> tuple[list[Outline], list[str]]:
        """The regions of a file; points and lines are left out."""
        found, wrong = [], []
        for number, roi in enumerate(_rois(file), start=1):
            kind = roi.roitype.name
            if kind not in _AREAS:
                wrong.append(f"region {number} ({roi.name}) is a {kind.lower()}: left out.")
                continue
            rings = [np.asarray(ring, float) for ring in roi.coordinates(multi=True)]
            name = _NAME.fullmatch(roi.name or "")
            polygon = join_rings([ring for ring in rings if len(ring)]).ravel().tolist()
            found.append(Outline(name[1] if name else ONE_CLASS, [polygon]))
        return found, wrong


def _rois(file: Path) -> list[Any]:
    try:
        import roifile
    except ImportError as error:
        raise UserError(
            f"{file}: ROIs of ImageJ need roifile; run `pip install recseg_d2[imagej]`."
        ) from error
    try:
        found = roifile.roiread(file)
    except Exception as error:  # whatever a damaged file makes of the reader
        raise UserError(f"{file}: no readable ROIs ({error}); save them again.") from error
    return found if isinstance(found, list) else [found]
