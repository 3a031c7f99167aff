from __future__ import annotations

import numpy as np
import pytest
import tifffile
from PIL import Image

from recseg_d2.config.options import FrameOptions
from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.facts import look_at
from recseg_d2.errors import UserError


def record(folder, name, labels, mode="L"):
    path = folder / f"{name}.png"
    Image.new(mode, labels.shape[::-1]).save(path)
    height, width = labels.shape
    size = {"height": height, "width": width}
    return {"file_name": str(path), **size, "annotations": label_map_to_annotations(labels)}


def test_what_is_seen_by_hand(tmp_path):
    first = np.zeros((20, 30), int)
    first[2:6, 3:12], first[10:12, 10:12] = 1, 2
    second = np.zeros((40, 25), int)
    records = [record(tmp_path, "a", first), record(tmp_path, "b", second, "RGBA")]
    facts = look_at(records)
    assert (facts.images, facts.looked_at) == (2, 2)
    assert facts.sizes.tolist() == [[20, 30], [40, 25]]
    assert facts.channels == {1: 1, 3: 1}
    assert facts.types == {"uint8": 2}
    assert facts.counts.tolist() == [2, 0]
    assert facts.diameters.tolist() == [6.0, 2.0]
    assert facts.longest.tolist() == [9.0, 2.0]


def test_backgrounds_are_seen_on_the_range_of_each_image(tmp_path):
    labels = np.zeros((10, 10), int)
    labels[:2] = 1
    records = [record(tmp_path, name, labels) for name in ("a", "b", "c", "d")]
    bright, everything = np.where(labels == 1, 200, 40), record(tmp_path, "e", labels * 0 + 1)
    for one, values in zip(records, (bright, 240 - bright, bright // 2), strict=False):
        Image.fromarray(values.astype(np.uint8)).save(one["file_name"])
    backgrounds = look_at([*records, everything]).backgrounds
    assert backgrounds.tolist() == pytest.approx([0, 1, 0, 0, np.nan], nan_ok=True)


def test_many_images_are_looked_at_here_and_there(tmp_path):
    labels = np.zeros((8, 8), int)
    labels[2:5, 2:5] = 1
    one = record(tmp_path, "a", labels)
    facts = look_at([one] * 1000)
    assert facts.images == len(facts.counts) == 1000
    assert facts.looked_at <= 60


def test_data_without_objects_is_refused(tmp_path):
    with pytest.raises(UserError, match="found no object"):
        look_at([record(tmp_path, "a", np.zeros((4, 4), int))])


def test_of_a_stack_the_chosen_page_is_looked_at(tmp_path):
    labels = np.zeros((8, 8), int)
    labels[2:5, 2:5] = 1
    one = record(tmp_path, "a", labels)
    one["file_name"] = str(tmp_path / "a.tif")
    pages = np.zeros((2, 8, 8), np.uint16)
    tifffile.imwrite(one["file_name"], pages, photometric="minisblack")
    facts = look_at([one], FrameOptions(page=1))
    assert facts.types == {"uint16": 1}
    with pytest.raises(UserError, match=r"found 2 pages.*INPUT\.FRAMES\.PAGE"):
        look_at([one])
