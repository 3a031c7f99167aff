"""Objects that QuPath exported as GeoJSON, a file an image.

X.geojson    a collection of features, or a list of them: polygons, with holes and in several
parts, in pixels; the class is the name of the classification, "object" without one
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from recseg_d2.data.outline_tracing import join_rings
from recseg_d2.data.sources.base import ONE_CLASS
from recseg_d2.data.sources.beside import OutlinesBeside
from recseg_d2.data.sources.outlines import Outline
from recseg_d2.errors import UserError

_PARTS = {"Polygon": lambda rings: [rings], "MultiPolygon": lambda parts: parts}


class QuPath(OutlinesBeside):
    """Images with GeoJSON files; see the module's docstring."""

    ENDINGS: ClassVar = (".geojson",)

    def read_file(self, file: Path) -> tuple[list[Outline], list[str]]:
        """The polygons of a file; points and lines are left out."""
        found, wrong = [], []
        for number, feature in enumerate(_features(file), start=1):
            geometry = feature.get("geometry") or {}
            kind = geometry.get("type")
            if kind not in _PARTS:
                wrong.append(f"feature {number} is a {kind}: left out.")
                continue
            source = f"{file}: feature {number}"
            parts = _PARTS[kind](geometry.get("coordinates") or [])
            polygons = [_polygon(rings, source) for rings in parts]
            found.append(Outline(_name_of(feature), polygons))
        return found, wrong


def _features(file: Path) -> list[dict[str, Any]]:
    try:
        contents = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{file}: no readable JSON ({error}); export it again.") from error
    if isinstance(contents, dict):
        contents = [contents] if contents.get("type") == "Feature" else contents.get("features")
    if not isinstance(contents, list) or not all(_is_feature(one) for one in contents):
        raise UserError(f"{file}: found no features, expected those of GeoJSON, as of QuPath.")
    return contents


def _is_feature(one: Any) -> bool:
    return isinstance(one, dict) and isinstance(one.get("geometry") or {}, dict)


def _name_of(feature: dict[str, Any]) -> str:
    properties = feature.get("properties")
    kind = properties.get("classification") if isinstance(properties, dict) else None
    name = kind.get("name") if isinstance(kind, dict) else kind
    return str(name) if name else ONE_CLASS


def _polygon(rings: Any, source: str) -> list[float]:
    """The rings of a part, the first of them its outline, as x and y by turns."""
    corners = []
    for ring in rings if isinstance(rings, list) else [rings]:
        try:
            points = np.asarray(ring, float)
        except (TypeError, ValueError):
            points = np.zeros(0)
        if points.ndim != 2 or points.shape[1] < 2 or not np.isfinite(points).all():
            raise UserError(f"{source}: found {str(ring)[:60]}, expected [x, y] of each corner.")
        corners.append(points[:-1, :2] if (points[0] == points[-1]).all() else points[:, :2])
    return join_rings(corners).ravel().tolist()
