"""QuPath's and ImageJ's outlines as data: what they hold, and what is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.errors import UserError

SIZE = (20, 30)


def folder(tmp_path, names=("a",)):
    for name in names:
        Image.new("L", SIZE[::-1]).save(tmp_path / f"{name}.png")
    return tmp_path


def load(place):
    source = open_own_data("beside", place)
    records, problems = source.survey()
    masks = [
        decode_segmentation(a["segmentation"], SIZE, "test")
        for record in records
        for a in record["annotations"]
    ]
    classes = source.metadata()["thing_classes"]
    kinds = [classes[a["category_id"]] for r in records for a in r["annotations"]]
    return masks, kinds, [problem.message for problem in problems]


def feature(coordinates, kind="Polygon", classification=None):
    properties = {"objectType": "detection", "classification": classification}
    geometry = {"type": kind, "coordinates": coordinates}
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def ring(left, top, right, bottom):
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


@pytest.mark.parametrize("form", ["collection", "list"])
def test_qupaths_features(tmp_path, form):
    features = [
        feature([ring(2, 2, 12, 12), ring(5, 5, 8, 8)], classification={"name": "Tumor"}),
        feature([[ring(14, 2, 16, 4)], [ring(20, 2, 24, 6)]], "MultiPolygon"),
        feature([3, 3], "Point"),
    ]
    contents = {"type": "FeatureCollection", "features": features}
    place = folder(tmp_path, ["a", "not_annotated"])
    text = json.dumps(features if form == "list" else contents)
    (place / "a.geojson").write_text(text)
    (first, second), kinds, problems = load(place)
    expected = np.zeros(SIZE, int)
    expected[2:12, 2:12] = 1
    expected[5:8, 5:8] = 0
    np.testing.assert_array_equal(first, expected)
    assert second[2:4, 14:16].all()
    assert second[2:6, 20:24].all()
    assert second.sum() == 4 + 16
    assert kinds == ["Tumor", "object"]
    assert problems == ["feature 3 is a Point: left out."]


def test_files_in_a_folder_of_their_own(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "geojson").mkdir()
    folder(tmp_path / "images")
    path = tmp_path / "geojson" / "a.geojson"
    path.write_text(json.dumps([feature([ring(0, 0, 3, 3)])]))
    (mask,), kinds, problems = load(tmp_path)
    assert (mask.sum(), kinds, problems) == (9, ["object"], [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"a\.geojson: no readable JSON"),
        ("[3]", r"a\.geojson: found no features, expected"),
        (json.dumps([feature([[1, 2]])]), r"feature 1: found \[1, 2\], expected \[x, y\]"),
        (json.dumps([feature([[["a", 1]]])]), r"feature 1: found .*expected \[x, y\]"),
    ],
)
def test_geojson_that_is_wrong_is_named(tmp_path, text, message):
    (folder(tmp_path) / "a.geojson").write_text(text)
    with pytest.raises(UserError, match=message):
        open_own_data("beside", tmp_path)()


def test_a_file_without_an_image_is_named(tmp_path):
    place = folder(tmp_path)
    for name in ("a", "b"):
        (place / f"{name}.geojson").write_text(json.dumps([feature([ring(0, 0, 3, 3)])]))
    with pytest.raises(UserError, match=r"b\.geojson: found no image of its name"):
        open_own_data("beside", place)()


@pytest.fixture
def roifile():
    return pytest.importorskip("roifile")


def test_imagejs_regions(tmp_path, roifile):
    place = folder(tmp_path)
    polygon = np.array([[2, 2], [6, 2], [6, 9], [2, 9]])
    line = roifile.ImagejRoi.frompoints(polygon[:2], name="line")
    line.roitype = roifile.ROI_TYPE.LINE
    box = roifile.ImagejRoi(
        roitype=roifile.ROI_TYPE.RECT, left=10, top=3, right=14, bottom=5, name="0002-0004-0012"
    )
    oval = roifile.ImagejRoi(roitype=roifile.ROI_TYPE.OVAL, left=16, top=2, right=26, bottom=12)
    named = roifile.ImagejRoi.frompoints(polygon, name="0001-leaf")
    roifile.roiwrite(place / "a.zip", [named, box, line, oval], name=["1", "2", "3", "4"])
    (first, second, third), kinds, problems = load(place)
    assert first[2:9, 2:6].all()
    assert first.sum() == 28
    assert second[3:5, 10:14].all()
    assert second.sum() == 8
    assert third.sum() == pytest.approx(np.pi * 25, rel=0.1)
    assert kinds == ["leaf", "object", "object"]
    assert len(problems) == 1
    assert "is a line: left out" in problems[0]


def test_a_single_region(tmp_path, roifile):
    square = np.array([[2, 2], [6, 2], [6, 6], [2, 6]])
    roifile.roiwrite(folder(tmp_path) / "a.roi", roifile.ImagejRoi.frompoints(square))
    (mask,), kinds, _ = load(tmp_path)
    assert (mask.sum(), kinds) == (16, ["object"])


def test_damaged_rois_are_named(tmp_path, roifile):
    (folder(tmp_path) / "a.zip").write_bytes(b"PK\3\4 nothing of a zip")
    with pytest.raises(UserError, match=r"a\.zip: no readable ROIs"):
        open_own_data("beside", tmp_path)()
