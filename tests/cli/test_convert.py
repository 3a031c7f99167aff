"""Data there and back through every format, to the pixel, and with each format's own library."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tifffile
from detectron2.data import DatasetCatalog
from PIL import Image, ImageDraw
from pycocotools.coco import COCO

from recseg_d2 import cli
from recseg_d2.cli import convert
from recseg_d2.data.annotations import decode_segmentation, label_map_from_dict
from recseg_d2.data.catalog import unregister
from recseg_d2.data.formats import FILE_FORMATS, ImageObjects, SavedObject, file_formats
from recseg_d2.data.formats.data_sets import DATA_SET_FORMATS
from recseg_d2.data.io.label_maps import read_label_map, write_label_map
from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.data.sources.synthetic import Rosettes
from recseg_d2.data.synthetic.layouts import LAYOUTS
from recseg_d2.errors import UserError
from recseg_d2.rle import encode

HEIGHT, WIDTH = 40, 50
OVERLAPS = ("coco", "yolo", "labelme", "masks", "geojson", "imagej")


def masks():
    """A ring, two regions of one object, one that overlaps the ring, and a single pixel."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    distance = np.hypot(y - 14, x - 15)
    parts = np.zeros((HEIGHT, WIDTH), bool)
    parts[2:8, 35:45] = parts[12:20, 38:40] = True
    overlap = np.zeros((HEIGHT, WIDTH), bool)
    overlap[20:30, 10:22] = True
    pixel = np.zeros((HEIGHT, WIDTH), bool)
    pixel[35, 45] = True
    return [(distance < 11) & (distance > 5), parts, overlap, pixel]


@pytest.fixture
def source(tmp_path):
    """A COCO file of an image with those objects, of two classes, and an image with none."""
    folder = tmp_path / "from"
    (folder / "images").mkdir(parents=True)
    for name in ("a", "b"):
        Image.new("RGB", (WIDTH, HEIGHT), "gray").save(folder / "images" / f"{name}.png")
    contents = {
        "images": [
            {"id": n, "file_name": f"{name}.png", "height": HEIGHT, "width": WIDTH}
            for n, name in enumerate("ab")
        ],
        "annotations": [
            {"id": n, "image_id": 0, "category_id": n % 2, "segmentation": encode(mask)}
            for n, mask in enumerate(masks())
        ],
        "categories": [{"id": 0, "name": "leaf"}, {"id": 1, "name": "stem"}],
    }
    (folder / "all.json").write_text(json.dumps(contents))
    return folder / "all.json"


def read(place):
    source = open_own_data("convert_test", place)
    records = {record["file_name"].rpartition("/")[2]: record for record in source()}
    return records, list(source.metadata()["thing_classes"])


@pytest.mark.parametrize("name", DATA_SET_FORMATS)
def test_there_and_back_to_the_pixel(source, tmp_path, name):
    if name == "imagej":
        pytest.importorskip("roifile")
    target = tmp_path / name
    assert cli.run(convert.main, [str(source), str(target), "--to", name]) == 0
    records, classes = read(target)
    assert sorted(records) == ["a.png", "b.png"]
    assert records["b.png"]["annotations"] == []
    found = [
        decode_segmentation(a["segmentation"], (HEIGHT, WIDTH), name)
        for a in records["a.png"]["annotations"]
    ]
    expected = masks()
    if name not in OVERLAPS:  # the smaller one lies over the larger one
        expected[0] &= ~expected[2]
    assert len(found) == len(expected)
    for mask in expected:
        assert any(np.array_equal(mask, other) for other in found)
    if name in OVERLAPS and name != "masks":
        assert classes == ["leaf", "stem"]
        assert [a["category_id"] for a in records["a.png"]["annotations"]] == [0, 1, 0, 1]
    with Image.open(records["a.png"]["file_name"]) as image:
        assert image.size == (WIDTH, HEIGHT)


def test_back_to_the_format_that_it_came_from(source, tmp_path):
    pytest.importorskip("roifile")
    steps = ["yolo", "labelme", "geojson", "imagej", "coco", "masks"]
    place = source
    for name in steps:
        target = tmp_path / name
        assert cli.run(convert.main, [str(place), str(target), "--to", name]) == 0
        place = target
    records, _ = read(place)
    found = [
        decode_segmentation(a["segmentation"], (HEIGHT, WIDTH), "end")
        for a in records["a.png"]["annotations"]
    ]
    for mask in masks():
        assert any(np.array_equal(mask, other) for other in found)


def test_pycocotools_reads_the_coco_file(source, tmp_path, capsys):
    assert cli.run(convert.main, [str(source), str(tmp_path / "to"), "--to", "coco"]) == 0
    coco = COCO(str(tmp_path / "to" / "annotations" / "instances.json"))
    for annotation, mask in zip(coco.loadAnns(coco.getAnnIds()), masks(), strict=True):
        np.testing.assert_array_equal(coco.annToMask(annotation), mask)
        assert annotation["area"] == mask.sum()


@pytest.fixture
def objects():
    found = [SavedObject(encode(mask), n % 2, 0.5) for n, mask in enumerate(masks())]
    return ImageObjects("a.png", (HEIGHT, WIDTH), found, ("leaf", "stem"))


def filled(rings):
    """What Pillow draws of outlines, the first filled and the others taken out, enlarged."""
    scale = 8
    image = Image.new("L", (WIDTH * scale, HEIGHT * scale))
    draw = ImageDraw.Draw(image)
    for number, ring in enumerate(rings):
        draw.polygon([(x * scale, y * scale) for x, y in ring], fill=int(number == 0))
    return np.asarray(image)[scale // 2 :: scale, scale // 2 :: scale] > 0


def test_geojson_has_regions_and_holes(objects, tmp_path):
    FILE_FORMATS["geojson"].write(objects, tmp_path / "a.geojson")
    contents = json.loads((tmp_path / "a.geojson").read_text())
    assert contents["type"] == "FeatureCollection"
    for feature, mask in zip(contents["features"], masks(), strict=True):
        geometry = feature["geometry"]
        parts = geometry["coordinates"]
        parts = [parts] if geometry["type"] == "Polygon" else parts
        assert all(ring[0] == ring[-1] for rings in parts for ring in rings)
        np.testing.assert_array_equal(np.any([filled(rings) for rings in parts], axis=0), mask)
    assert contents["features"][1]["geometry"]["type"] == "MultiPolygon"
    assert contents["features"][1]["properties"]["classification"] == {"name": "stem"}
    assert contents["features"][0]["properties"]["measurements"] == {"score": 0.5}


def test_imagej_rois_are_read_by_roifile(objects, tmp_path):
    roifile = pytest.importorskip("roifile")
    FILE_FORMATS["imagej"].write(objects, tmp_path / "a.zip")
    rois = roifile.roiread(tmp_path / "a.zip")
    assert [roi.name for roi in rois] == ["0001-leaf", "0002-stem", "0003-leaf", "0004-stem"]
    overlap = rois[2].coordinates()
    assert overlap.min(axis=0).tolist() == [10, 20]
    assert overlap.max(axis=0).tolist() == [22, 30]


def test_label_files_are_read_by_tifffile_and_numpy(objects, tmp_path):
    for name, format_ in FILE_FORMATS.items():
        format_.write(objects, tmp_path / f"a{format_.ending}") if name in (
            "png", "tif", "ome", "npy", "cellpose",
        ) else None  # fmt: skip
    expected = objects.label_map()
    for path in (tmp_path / "a.tif", tmp_path / "a.ome.tif"):
        np.testing.assert_array_equal(tifffile.imread(path), expected)
    with tifffile.TiffFile(tmp_path / "a.ome.tif") as tiff:
        assert tiff.is_ome
    cellpose = np.load(tmp_path / "a_seg.npy", allow_pickle=True).item()
    np.testing.assert_array_equal(cellpose["masks"], expected)
    assert set(np.unique(cellpose["outlines"])) == {0, 1, 2, 3, 4}
    for name in ("a.png", "a.npy"):
        np.testing.assert_array_equal(read_label_map(tmp_path / name), expected)


def test_more_objects_than_16_bits_hold(tmp_path):
    left, right = (encode(np.array([[n == 0, n == 1]])) for n in range(2))
    found = ImageObjects("a.png", (1, 2), [SavedObject(left)] * 65536 + [SavedObject(right)])
    FILE_FORMATS["tif"].write(found, tmp_path / "a.tif")
    stored = tifffile.imread(tmp_path / "a.tif")
    assert stored.dtype == np.uint32
    assert stored[0, 1] == 65537


def test_a_registered_data_set(tmp_path):
    Rosettes("convert_rosettes", 2, first_seed=7, size=48).register()
    target = tmp_path / "to"
    assert cli.run(convert.main, ["convert_rosettes", str(target), "--to", "png"]) == 0
    (first, _) = DatasetCatalog.get("convert_rosettes")
    unregister("convert_rosettes")
    records, _ = read(target)
    np.testing.assert_array_equal(
        label_map_from_dict(first) > 0, label_map_from_dict(records["7.png"]) > 0
    )


def test_a_folder_that_is_in_use_is_refused(source, tmp_path, capsys):
    (tmp_path / "to").mkdir()
    (tmp_path / "to" / "x").touch()
    assert cli.run(convert.main, [str(source), str(tmp_path / "to"), "--to", "png"]) == 2
    assert "is there already; name a new folder" in capsys.readouterr().err


def test_two_images_of_one_stem_are_refused(tmp_path, capsys):
    for part in ("one", "two"):
        for kind in ("images", "labels"):
            (tmp_path / "from" / kind / part).mkdir(parents=True)
            path = tmp_path / "from" / kind / part / "a.png"
            write_label_map(path, np.ones((4, 5), np.uint8))
    assert cli.run(convert.main, [str(tmp_path / "from"), str(tmp_path / "to"), "--to", "png"]) == 2
    assert "would both be stored as 'a'" in capsys.readouterr().err


def test_the_layouts_of_this_package_come_through(tmp_path):
    LAYOUTS["label_maps"](tmp_path / "data", "train", [0, 1], 48)
    assert cli.run(
        convert.main, [str(tmp_path / "data" / "train"), str(tmp_path / "to"), "--to", "labelme"]
    ) == 0  # fmt: skip
    before, _ = read(tmp_path / "data" / "train")
    after, _ = read(tmp_path / "to")
    for name, record in before.items():
        np.testing.assert_array_equal(
            label_map_from_dict(record) > 0, label_map_from_dict(after[name]) > 0
        )


@pytest.mark.parametrize("bits", [8, 16, 32])
@pytest.mark.parametrize("name", ["png", "tif", "ome", "npy"])
def test_bits_of_label_maps(source, tmp_path, name, bits, capsys):
    target = tmp_path / "to"
    code = cli.run(convert.main, [str(source), str(target), "--to", name, "--bits", str(bits)])
    if (name, bits) == ("png", 32):
        assert code == 2
        assert "PNG holds 8 or 16 bits" in capsys.readouterr().err
        return
    assert code == 0
    (path,) = (target / "labels").glob("a.*")
    if name == "npy":
        stored = np.load(path)
    else:
        stored = tifffile.imread(path) if name in ("tif", "ome") else np.asarray(Image.open(path))
    assert stored.dtype == f"uint{bits}"
    assert stored.max() == 4


@pytest.mark.parametrize("name", ["png", "tif", "npy"])
def test_more_objects_than_the_bits_hold_are_refused(tmp_path, name):
    pixels = [np.zeros((16, 16), np.uint8) for _ in range(256)]
    for number, mask in enumerate(pixels):
        mask.flat[number] = 1
    found = [SavedObject(encode(mask)) for mask in pixels]
    write = file_formats(8)[name].write
    write(ImageObjects("a.png", (16, 16), found[:255]), tmp_path / f"a.{name}")
    with pytest.raises(UserError, match=r"b\..*8 bits hold 255"):
        write(ImageObjects("b.png", (16, 16), found), tmp_path / f"b.{name}")
    assert not (tmp_path / f"b.{name}").exists()
