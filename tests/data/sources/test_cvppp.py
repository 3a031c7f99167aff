from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.data.detection_utils import read_image
from detectron2.utils.file_io import PathManager
from PIL import Image

from recseg_d2.data.sources.cvppp import SPLITS, Cvppp, CvpppH5, split_plants
from recseg_d2.data.synthetic.layouts import export_dataset
from recseg_d2.data.synthetic.rosettes import draw_label_map, draw_rosette
from recseg_d2.errors import UserError

STEMS = [f"plant{i:03d}" for i in range(1, 129)]
SIZE = 40
# fmt: off
REN_VAL = [f"plant{i:03d}" for i in (
    5, 8, 16, 21, 23, 32, 35, 38, 40, 41, 44, 48, 50, 64, 68, 73, 76, 83, 86, 91, 96, 103, 105,
    110, 121,
)]
# fmt: on


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Five annotated plants and two without labels, in folders."""
    out = tmp_path_factory.mktemp("folders")
    export_dataset("cvppp", out / "data", range(5), range(5, 7), SIZE)
    return out / "data"


@pytest.fixture(scope="module")
def h5_files(tmp_path_factory):
    """The same plants in HDF5 files."""
    pytest.importorskip("h5py")
    out = tmp_path_factory.mktemp("h5")
    export_dataset("cvppp_h5", out / "data", range(5), range(5, 7), SIZE)
    return out / "data"


def test_sizes_of_the_papers_splits():
    sizes = {split: len(split_plants(STEMS, split)) for split in SPLITS}
    assert sizes == {
        "train": 103,
        "val": 25,
        "rsis_train": 96,
        "rsis_val": 32,
        "trainval": 128,
        "test": 128,
    }


def test_splits_are_disjoint_complete_and_sorted():
    for prefix in ("", "rsis_"):
        train, val = split_plants(STEMS, f"{prefix}train"), split_plants(STEMS, f"{prefix}val")
        assert sorted(train + val) == STEMS
        assert train == sorted(train)
        assert val == sorted(val)


def test_splits_are_the_written_down_ones():
    assert split_plants(STEMS, "val") == REN_VAL
    assert split_plants(STEMS, "rsis_val") == STEMS[96:]


def test_unknown_split_is_refused():
    with pytest.raises(UserError, match="split: found 'dev', expected one of train"):
        split_plants(STEMS, "dev")


def test_builtin_names_and_metadata():
    for split in SPLITS:
        for name in (f"cvppp_a1_{split}", f"cvppp2017_a1_{split}"):
            assert name in DatasetCatalog.list()
            assert MetadataCatalog.get(name).thing_classes == ["leaf"]
            assert MetadataCatalog.get(name).evaluator_type == "label_map"


def test_folder_layout(folders, new_name):
    name = new_name()
    Cvppp(name, folders / "A1").register()
    records = DatasetCatalog.get(name)
    assert [r["image_id"] for r in records] == [f"plant{i:03d}" for i in range(1, 6)]
    for seed, record in enumerate(records):
        assert len(record["annotations"]) == draw_label_map(seed, SIZE).max()
    parts = []
    for split in ("train", "val"):
        part = new_name()
        Cvppp(part, folders / "A1", split).register()
        parts.append([r["image_id"] for r in DatasetCatalog.get(part)])
    assert [len(p) for p in parts] == [4, 1]
    assert sorted(parts[0] + parts[1]) == [r["image_id"] for r in records]


def test_four_channels_and_colour_labels(tmp_path, new_name):
    image, labels = draw_rosette(0, SIZE)
    opaque = np.dstack([image, np.full((SIZE, SIZE), 255, np.uint8)])
    Image.fromarray(opaque).save(tmp_path / "plant001_rgb.png")
    colours = np.random.default_rng(0).permutation(256)[: 3 * 9].reshape(9, 3).astype(np.uint8)
    colours[0] = 0
    Image.fromarray(colours[labels]).save(tmp_path / "plant001_label.png")
    name = new_name()
    Cvppp(name, tmp_path).register()
    (record,) = DatasetCatalog.get(name)
    assert len(record["annotations"]) == labels.max()
    np.testing.assert_array_equal(read_image(record["file_name"], "RGB"), image)


def test_labels_may_be_missing_in_the_test_set_only(folders, new_name):
    name = new_name()
    Cvppp(name, folders / "A1_test", "test").register()
    records = DatasetCatalog.get(name)
    assert len(records) == 2
    assert all("annotations" not in r for r in records)
    name = new_name()
    Cvppp(name, folders / "A1_test").register()
    with pytest.raises(UserError, match=r"plant001_label\.png: no such file.*2 problems"):
        DatasetCatalog.get(name)


def test_hdf5_gives_what_the_folders_give(folders, h5_files, new_name):
    names = new_name(), new_name()
    Cvppp(names[0], folders / "A1", "train").register()
    images, truth = (h5_files / f"CVPPP2017_training_{x}.h5" for x in ("images", "truth"))
    CvpppH5(names[1], images, truth, split="train").register()
    pairs = list(zip(*(DatasetCatalog.get(n) for n in names), strict=True))
    assert len(pairs) == 4
    for from_folder, from_file in pairs:
        for key in ("image_id", "height", "width", "annotations"):
            assert from_folder[key] == from_file[key]
        expected = read_image(from_folder["file_name"], "BGR")
        np.testing.assert_array_equal(read_image(from_file["file_name"], "BGR"), expected)


def test_hdf5_without_labels_and_with_a_fourth_channel(tmp_path, h5_files, new_name):
    h5py = pytest.importorskip("h5py")
    name = new_name()
    CvpppH5(name, h5_files / "CVPPP2017_testing_images.h5", split="test").register()
    assert ["annotations" in r for r in DatasetCatalog.get(name)] == [False, False]
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 4), dtype=np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["A2/plant007/rgb"] = pixels
    name = new_name()
    CvpppH5(name, tmp_path / "a.h5", group="A2", split="test").register()
    (record,) = DatasetCatalog.get(name)
    assert (record["height"], record["width"]) == (5, 7)
    np.testing.assert_array_equal(read_image(record["file_name"], "RGB"), pixels[..., :3])


def test_incomplete_hdf5_files_are_refused(tmp_path, h5_files, new_name):
    h5py = pytest.importorskip("h5py")
    images = h5_files / "CVPPP2017_training_images.h5"
    with h5py.File(tmp_path / "short.h5", "w") as file:
        file["A1/plant001/label"] = np.zeros((SIZE, SIZE - 1), np.uint8)
    (tmp_path / "text.h5").write_text("no HDF5")
    for label_file, group, message in (
        ("short.h5", "A1", r"A1/plant001/label: found \(40, 39\) of uint8"),
        (images, "A1", "A1/plant001/label is missing"),
        ("short.h5", "A4", "no group 'A4', found A1"),
        ("text.h5", "A1", r"text\.h5: not a readable HDF5 file"),
        ("gone.h5", "A1", r"gone\.h5: no such file"),
    ):
        name = new_name()
        CvpppH5(name, images, tmp_path / label_file, group).register()
        with pytest.raises(UserError, match=message):
            DatasetCatalog.get(name)


def test_paths_into_hdf5_behave_as_files(h5_files):
    path = f"h5://{h5_files}/CVPPP2017_training_images.h5::A1/plant001/rgb"
    assert PathManager.isfile(path)
    assert not PathManager.isfile("h5://gone.h5::A1/plant001/rgb")
    for bad in (path + "x", "h5://no_separator.h5"):
        with pytest.raises(FileNotFoundError):
            PathManager.open(bad, "rb")
