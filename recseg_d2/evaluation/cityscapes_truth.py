"""Cityscapes ground truth from the files that dicts name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from detectron2.data import MetadataCatalog
from PIL import Image

from recseg_d2.data.instance_ids import read_instance_ids
from recseg_d2.errors import UserError
from recseg_d2.metrics.cityscapes_matching import TrueScene, read_scene
from recseg_d2.metrics.stereo_distance import distances_from_disparity

_IMAGE_ENDING = "_leftImg8bit"


def scene_of(record: dict[str, Any], label_ids: Sequence[int]) -> TrueScene:
    """The ground truth of a standard dict, with distances where it names the files for them.

    Raises:
        UserError: a file is missing or wrong, or the dict has no "instance_ids_file".
    """
    if "instance_ids_file" not in record:
        raise UserError(
            f"{record['file_name']}: found no ground truth, expected its instance id file in the "
            'dict\'s "instance_ids_file".'
        )
    distances = None
    if "disparity_file" in record and "camera_file" in record:
        distances = read_distances(record["disparity_file"], record["camera_file"])
    try:
        return read_scene(read_instance_ids(record["instance_ids_file"]), label_ids, distances)
    except ValueError as error:
        raise UserError(f"{record['instance_ids_file']}: {error}.") from error


def read_distances(disparity_file: str | Path, camera_file: str | Path) -> np.ndarray:
    """(H, W) float64 metres, NaN where unknown; see ``metrics.stereo_distance``.

    Raises:
        UserError: a file cannot be read, or the camera lacks its baseline or focal length.
    """
    try:
        camera = json.loads(Path(camera_file).read_text(encoding="utf-8"))
        baseline = float(camera["extrinsic"]["baseline"])
        focal = float(camera["intrinsic"]["fx"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{camera_file}: cannot be read as a camera ({error!r}); expected JSON with "
            "extrinsic.baseline (metres) and intrinsic.fx (pixels)."
        ) from error
    try:
        with Image.open(disparity_file) as file:
            disparity = np.asarray(file).astype(np.uint16)
    except (OSError, SyntaxError, ValueError) as error:  # PIL raises each of them on broken files
        raise UserError(f"{disparity_file}: cannot be read ({error}); copy it again.") from error
    return distances_from_disparity(disparity, baseline, focal)


def evaluated_classes(dataset_name: str) -> dict[str, int]:
    """Label id by class, in the order of the data set's categories.

    Raises:
        UserError: the metadata lack ``thing_classes`` or ``label_ids``, or they differ in length.
    """
    metadata = MetadataCatalog.get(dataset_name)
    names, ids = metadata.get("thing_classes") or (), metadata.get("label_ids") or ()
    if not names or len(names) != len(ids):
        raise UserError(
            f"{dataset_name}: found {len(names)} thing_classes and {len(ids)} label_ids, expected "
            "one label id of Cityscapes for each class in the data set's metadata."
        )
    return dict(zip(names, ids, strict=True))


def image_name(record: dict[str, Any]) -> str:
    """<city>_NNNNNN_NNNNNN of a standard dict."""
    return Path(record["file_name"]).stem.removesuffix(_IMAGE_ENDING)
