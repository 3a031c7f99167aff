"""Formats that say of each object what its outline is.

Outlines run along the edges of pixels, see ``data.outline_tracing``.
"""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from recseg_d2 import rle
from recseg_d2.data.formats.base import FileFormat, ImageObjects, SavedObject
from recseg_d2.data.outline_tracing import Region, trace_as_one, trace_regions
from recseg_d2.errors import UserError
from recseg_d2.files import write_whole

_LABELME_VERSION = "5.0.1"  # whose files later versions read


def _write_yolo(found: ImageObjects, path: Path) -> None:
    lines = []
    for one in found.objects:
        shares = trace_as_one(rle.decode(one.mask)) / found.size[::-1]
        if len(shares):
            lines.append(" ".join([str(one.category), *(f"{v:.8g}" for v in shares.ravel())]))
    with write_whole(path) as file:
        file.write("".join(f"{line}\n" for line in lines))


def _write_labelme(found: ImageObjects, path: Path) -> None:
    shapes = [
        {
            "label": found.name_of(one),
            "points": trace_as_one(rle.decode(one.mask)).astype(float).tolist(),
            "group_id": None,
            "shape_type": "polygon",
            "flags": {},
        }
        for one in found.objects
    ]
    height, width = found.size
    contents: dict[str, Any] = {
        "version": _LABELME_VERSION,
        "flags": {},
        "shapes": [shape for shape in shapes if shape["points"]],
        "imagePath": found.file_name,
        "imageData": None,
        "imageHeight": height,
        "imageWidth": width,
    }
    _write_json(path, contents)


def _write_geojson(found: ImageObjects, path: Path) -> None:
    features = [_feature(found, one, number) for number, one in enumerate(found.objects, start=1)]
    _write_json(path, {"type": "FeatureCollection", "features": [f for f in features if f]})


def _feature(found: ImageObjects, one: SavedObject, number: int) -> dict[str, Any] | None:
    """An object as QuPath takes it; None for one without a pixel."""
    regions = [_rings(region) for region in trace_regions(rle.decode(one.mask))]
    if not regions:
        return None
    single = len(regions) == 1
    geometry = {
        "type": "Polygon" if single else "MultiPolygon",
        "coordinates": regions[0] if single else regions,
    }
    score = {} if one.score is None else {"measurements": {"score": one.score}}
    properties = {
        "objectType": "annotation",
        "name": str(number),
        "classification": {"name": found.name_of(one)},
        **score,
    }
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def _rings(region: Region) -> list[list[list[int]]]:
    """The outlines of a region, each ending where it began."""
    rings = (region.outer, *region.holes)
    return [np.concatenate([ring, ring[:1]]).tolist() for ring in rings]


def _write_imagej(found: ImageObjects, path: Path) -> None:
    try:
        import roifile
    except ImportError as error:
        raise UserError(
            "ROIs of ImageJ need roifile; run `pip install recseg_d2[imagej]`."
        ) from error
    rois = []
    for number, one in enumerate(found.objects, start=1):
        points = trace_as_one(rle.decode(one.mask))
        if len(points):
            name = f"{number:04d}-{found.name_of(one)}"
            rois.append(roifile.ImagejRoi.frompoints(points, name=name))
    with write_whole(path, "wb") as file, zipfile.ZipFile(file, "w") as archive:
        for roi in rois:
            archive.writestr(f"{roi.name}.roi", roi.tobytes())


def _write_json(path: Path, contents: Any) -> None:
    with write_whole(path) as file:
        json.dump(contents, file, indent=1)


OUTLINE_FORMATS = {
    "yolo": FileFormat(".txt", _write_yolo),
    "labelme": FileFormat(".json", _write_labelme),
    "geojson": FileFormat(".geojson", _write_geojson),
    "imagej": FileFormat(".zip", _write_imagej),
}
