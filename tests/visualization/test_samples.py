from __future__ import annotations

import numpy as np
import pytest
from detectron2.structures import BoxMode
from PIL import Image

from recseg_d2.visualization import samples
from recseg_d2.visualization.samples import draw_samples


@pytest.fixture
def record(tmp_path):
    """Black, 40 x 40: a crowd on the left half, an object in the lower right quarter."""
    path = tmp_path / "a.png"
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(path)
    crowd, thing = np.zeros((2, 40, 40), bool)
    crowd[:, :20], thing[20:, 20:] = True, True
    common = {"bbox": [0, 0, 1, 1], "bbox_mode": BoxMode.XYWH_ABS}
    return {
        "file_name": str(path), "image_id": "a", "height": 40, "width": 40,
        "annotations": [
            {**common, "category_id": 1, "segmentation": thing, "iscrowd": 0},
            {**common, "category_id": 0, "segmentation": crowd, "iscrowd": 1},
        ],
    }  # fmt: skip


def test_objects_have_colours_and_crowds_are_grey(record):
    page = np.asarray(draw_samples([record], ("cat", "dog"), side=40))
    top = page.shape[0] - 6 - 40  # the gap below
    picture = page[top : top + 40, 6:46].astype(int)
    grey, colour, empty = picture[10, 5], picture[30, 30], picture[10, 30]
    assert np.ptp(grey) == 0
    assert grey[0] > 0
    assert np.ptp(colour) > 20
    assert not empty.any()


def test_pages_have_rows(record):
    one = draw_samples([record], ("cat",), side=40, per_row=2)
    three = draw_samples([record] * 3, ("cat",), side=40, per_row=2)
    assert three.width > one.width
    assert three.height > one.height


def test_captions_count_the_classes(record):
    thing = record["annotations"][0]
    assert samples._caption(record, [thing, thing], ("cat", "dog")) == "a: 2 dog"
    assert samples._caption(record, [thing], ("thing",)) == "a: 1 object"
    assert samples._caption(record, [], ("cat", "dog")) == "a: 0 objects"


def test_images_without_annotations_are_drawn(record):
    del record["annotations"]
    assert draw_samples([record], ("cat",), side=40).width == 52


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="at least one image"):
        draw_samples([], ("cat",))
