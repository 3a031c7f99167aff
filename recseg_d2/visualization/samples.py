"""A page of annotated images, to see what a data set holds.

Objects have colours of their own, what is ignored is grey.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from detectron2.data import detection_utils
from PIL import Image

from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.visualization.frame import Frame
from recseg_d2.visualization.instances import count_text
from recseg_d2.visualization.palette import instance_colors
from recseg_d2.visualization.panels import Panel, lay_out

SAMPLE_SIDE = 256  # longest side of a picture in pixels
PER_ROW = 4
_CROWD_GREY = (150, 150, 150)


def draw_samples(
    dicts: Sequence[dict[str, Any]],
    classes: Sequence[str],
    side: int = SAMPLE_SIDE,
    per_row: int = PER_ROW,
) -> Image.Image:
    """Images with their ground truth, in rows.

    Args:
        dicts: Detectron2's standard dicts, one or more.
        classes: their names, in the order of the category ids.
        side: longest side of a picture in pixels.
        per_row: number of pictures side by side.

    Raises:
        ValueError: there is no image.
        UserError: an annotation does not fit its image.
    """
    if not dicts:
        raise ValueError("A page of samples needs at least one image.")
    panels = [_panel(record, classes, side) for record in dicts]
    return lay_out([panels[i : i + per_row] for i in range(0, len(panels), per_row)])


def _panel(record: dict[str, Any], classes: Sequence[str], side: int) -> Panel:
    name = record["file_name"]
    image = detection_utils.read_image(name, format="RGB")
    frame = Frame.of(image, side)
    annotations = sorted(record.get("annotations", []), key=lambda a: -a.get("iscrowd", 0))
    crowds = sum(a.get("iscrowd", 0) for a in annotations)
    masks = [decode_segmentation(a["segmentation"], frame.given, name) for a in annotations]
    colors = np.concatenate(
        [
            np.tile(np.array(_CROWD_GREY, np.uint8), (crowds, 1)),
            instance_colors(len(masks) - crowds),
        ]
    )
    caption = _caption(record, annotations[crowds:], classes)
    return frame.panel(caption, frame.fit(masks), colors)


def _caption(record: dict[str, Any], objects: list[dict[str, Any]], classes: Sequence[str]) -> str:
    if len(classes) == 1 or not objects:
        return f"{record['image_id']}: {count_text(len(objects))}"
    counts = Counter(classes[a["category_id"]] for a in objects)
    return f"{record['image_id']}: " + ", ".join(f"{n} {name}" for name, n in counts.most_common())
