"""Files as nobody should write them: good ones of which something was changed."""

from __future__ import annotations

import copy
import json
from typing import Any

import numpy as np
from hypothesis import strategies as st

from recseg_d2 import rle

HEIGHT, WIDTH = 6, 8

ODD_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 80),
    st.sampled_from([10**20, -(10**20), 2**31, 2**63, 0.5, 1e300, float("nan"), float("inf")]),
    st.floats(-5, 90),
    st.text(max_size=4),
    st.sampled_from(["1", "0", "6", "\ud800", "a\0b", "../x.png", "C:\\x\\a0.png", "/etc/passwd"]),
    st.lists(st.integers(-2, 60), max_size=9),
    st.lists(st.lists(st.floats(-2, 9), max_size=9), max_size=3),
    st.dictionaries(st.sampled_from(["size", "counts", "x"]), st.integers(0, 9), max_size=2),
    st.just({}),
)


def mask_of(number: int) -> np.ndarray:
    """(H, W) bool: one of two rectangles."""
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[1:4, 4 * number : 4 * number + 3] = True
    return mask


def polygon_of(number: int) -> list[float]:
    x = 4 * number
    return [x, 1, x + 3, 1, x + 3, 4, x, 4]


@st.composite
def segmentations(draw: st.DrawFn, number: int) -> Any:
    """A mask in one of the forms that are taken, as ``mask_of`` has it."""
    compressed = rle.encode(mask_of(number))
    uncompressed = {**compressed, "counts": rle.run_lengths(compressed).tolist()}
    polygon = polygon_of(number)
    points = np.reshape(polygon, (-1, 2)).tolist()
    forms = [compressed, uncompressed, [compressed], [polygon], polygon, points, [points]]
    return draw(st.sampled_from(forms))


@st.composite
def coco_contents(draw: st.DrawFn) -> tuple[Any, Any]:
    """A file in COCO's form of two images with two objects each, changed and as it was."""
    contents: dict[str, Any] = {
        "images": [
            {"id": n, "file_name": f"a{n}.png", "height": HEIGHT, "width": WIDTH} for n in range(2)
        ],
        "annotations": [
            {
                "id": 2 * image + n,
                "image_id": image,
                "category_id": 1,
                "iscrowd": 0,
                "bbox": [4 * n, 1, 3, 3],
                "segmentation": draw(segmentations(n)),
            }
            for image in range(2)
            for n in range(2)
        ],
        "categories": [{"id": 1, "name": "leaf"}],
    }
    before = copy.deepcopy(contents)
    for _ in range(draw(st.integers(0, 3))):
        change(draw, contents)
    return contents, before


def change(draw: st.DrawFn, node: Any) -> None:
    """Replace, remove or repeat something at any depth."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return
    key = draw(st.sampled_from(keys))
    below = node[key]
    if isinstance(below, (dict, list)) and below and draw(st.integers(0, 3)):
        change(draw, below)
        return
    action = draw(st.sampled_from(["replace", "replace", "remove", "repeat"]))
    if action == "replace":
        node[key] = draw(ODD_VALUES)
    elif action == "remove":
        del node[key]
    elif isinstance(node, list):
        node.append(below)


def as_json(contents: Any) -> bytes:
    """As Python writes it, with NaN and halves of characters."""
    return json.dumps(contents).encode()


@st.composite
def damaged(draw: st.DrawFn, content: bytes) -> bytes:
    """Bytes of which some were changed, cut out or put in; or as they are."""
    data = bytearray(content)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        action = draw(st.sampled_from(["set", "cut", "insert", "drop"]))
        if action == "set" and data:
            data[at] = draw(st.integers(0, 255))
        elif action == "cut":
            del data[at:]
        elif action == "drop":
            del data[at : at + draw(st.integers(1, 20))]
        else:
            data[at:at] = draw(st.binary(max_size=8))
    return bytes(data)
