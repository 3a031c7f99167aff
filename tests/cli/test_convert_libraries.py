"""What is written is read by the formats' own programs, where they are installed.

They are large, and nothing here needs them otherwise: pip install shapely labelme ultralytics
"cellpose<4".
"""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from cli.test_convert import HEIGHT, WIDTH, masks, source  # noqa: F401  (source is a fixture)
from PIL import Image
from scipy.ndimage import binary_dilation, binary_erosion, label

from recseg_d2 import cli
from recseg_d2.cli import convert


@pytest.fixture
def written(source, tmp_path, request):  # noqa: F811
    """The folder that ``convert`` wrote in a format."""
    target = tmp_path / request.param
    assert cli.run(convert.main, [str(source), str(target), "--to", request.param]) == 0
    return target


GAP = 4  # rows between the two regions of an object, which are one outline in labelme and YOLO


def assert_within_a_pixel(found, mask):
    """Programs that draw outlines through pixels may differ by one along them.

    Between the regions of an object the outline goes there and back, which they draw as a line.
    """
    near = np.ones((3, 3), bool)
    assert (found & ~binary_dilation(mask, near)).sum() <= GAP * (label(mask)[1] - 1)
    assert not (binary_erosion(mask, near) & ~found).any()


@pytest.mark.parametrize("written", ["geojson"], indirect=True)
def test_shapely_has_the_same_pixels(written):
    shapely = pytest.importorskip("shapely")
    (path,) = written.rglob("a.geojson")
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    features = json.loads(path.read_text())["features"]
    for feature, mask in zip(features, masks(), strict=True):
        region = shapely.geometry.shape(feature["geometry"])
        assert region.is_valid
        assert region.area == mask.sum()
        np.testing.assert_array_equal(shapely.contains_xy(region, x, y), mask)


@pytest.mark.parametrize("written", ["labelme"], indirect=True)
def test_labelme_draws_the_same_objects(written):
    utils = pytest.importorskip("labelme.utils")
    (path,) = written.rglob("a.json")
    drawn = {}
    for shape in json.loads(path.read_text())["shapes"]:
        mask = utils.shape_to_mask((HEIGHT, WIDTH), shape["points"], shape["shape_type"])
        key = len(drawn) if shape["group_id"] is None else f"group {shape['group_id']}"
        drawn[key] = drawn.get(key, np.zeros((HEIGHT, WIDTH), bool)) | mask
    assert len(drawn) == len(masks())
    for found, mask in zip(drawn.values(), masks(), strict=True):
        assert_within_a_pixel(found, mask)


@pytest.mark.parametrize("written", ["yolo"], indirect=True)
def test_ultralytics_draws_the_same_objects(written, monkeypatch):
    # once imported, it has put functions of its own there, which other tests should not get
    monkeypatch.setattr(Image, "open", Image.open)
    monkeypatch.setattr(torch, "save", torch.save)
    utils = pytest.importorskip("ultralytics.data.utils")
    (lines,) = written.rglob("labels/**/a.txt")
    (image,) = written.rglob("images/**/a.png")
    checked = utils.verify_image_label((str(image), str(lines), "", False, 2, 0, 0, False))
    assert not checked[-1], checked[-1]
    boxes, segments = checked[1], checked[3]
    assert boxes[:, 0].tolist() == [0, 1, 0, 1]
    corners = [segment * (WIDTH, HEIGHT) for segment in segments]
    found = utils.polygons2masks((HEIGHT, WIDTH), corners, 1) > 0
    for one, mask in zip(found, masks(), strict=True):
        assert_within_a_pixel(one, mask)


@pytest.mark.parametrize("written", ["cellpose"], indirect=True)
def test_cellpose_loads_its_own_file(written):
    io = pytest.importorskip("cellpose.io")
    (path,) = written.rglob("a_seg.npy")
    _, labels, names, *_ = io.load_images_labels(str(path.parent), mask_filter="_seg.npy")
    (found,) = (m for m, name in zip(labels, names, strict=True) if name.endswith("a.png"))
    objects = masks()
    objects[0] &= ~objects[2]  # the smaller one lies over the larger one
    assert found.max() == len(objects)
    for mask in objects:
        assert any(np.array_equal(found == number, mask) for number in range(1, len(objects) + 1))
