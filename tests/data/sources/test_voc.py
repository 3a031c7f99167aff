from __future__ import annotations

import shutil

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.structures import BoxMode
from PIL import Image
from pycocotools import mask as coco_mask
from scipy.io import savemat

from recseg_d2.data.io.lists import write_list
from recseg_d2.data.sources import voc_splits
from recseg_d2.data.sources.labelled_images import LabelledImage
from recseg_d2.data.sources.voc import VOC_CLASSES, Sbd, Voc, VocImages, VocSbd, read_sbd
from recseg_d2.data.synthetic.layouts import export_dataset
from recseg_d2.data.synthetic.layouts.drawn import numbered_scenes
from recseg_d2.data.validation import validate_dicts
from recseg_d2.errors import UserError

SIZE = 64
TRAIN_SEEDS, VAL_SEEDS = range(7), range(20, 23)
NAMES = [
    *("recseg_voc_train", "recseg_voc_val", "recseg_voc_trainval"),
    *("recseg_sbd_train", "recseg_sbd_val", "recseg_voc_sds_train", "recseg_voc_sds_val"),
    *("recseg_voc_rsis_train", "recseg_voc_rsis_val"),
]


@pytest.fixture(scope="module")
def datasets_folder(tmp_path_factory):
    """Seven images for training, three for validation, in the official layout."""
    folder = tmp_path_factory.mktemp("voc") / "datasets"
    export_dataset("voc", folder, TRAIN_SEEDS, VAL_SEEDS, SIZE)
    return folder


@pytest.fixture
def voc(datasets_folder):
    return datasets_folder / "VOC2012"


@pytest.fixture
def sbd(datasets_folder):
    return datasets_folder / "benchmark_RELEASE" / "dataset"


def stems(images):
    return [image.image_id for image in images]


def class_file(files):
    return files.labels.parent.parent / "SegmentationClass" / files.labels.name


def read_image(files):
    return Voc("one", files.image.parent).read(files)


def write_pair(folder, objects, classes):
    """A made image with the two maps; its files."""
    files = LabelledImage("a", folder / "a.jpg", folder / "SegmentationObject" / "a.png")
    Image.fromarray(np.zeros((*np.shape(objects), 3), np.uint8)).save(files.image)
    for path, values in ((files.labels, objects), (class_file(files), classes)):
        path.parent.mkdir(exist_ok=True)
        indexed = Image.fromarray(np.array(values, np.uint8))
        indexed.putpalette([255, 0, 0] * 256)
        indexed.save(path)
    return files


def write_mat(path, labels, categories, name="GTinst"):
    struct = {"Segmentation": np.array(labels, np.uint8), "Categories": np.array([categories]).T}
    savemat(str(path), {name: struct})


def test_a_pair_of_pngs_worked_by_hand(tmp_path):
    objects = [[1, 1, 255, 2], [1, 255, 255, 2], [0, 0, 0, 2]]
    classes = [[15, 15, 255, 1], [15, 255, 255, 1], [0, 0, 0, 1]]
    record = read_image(write_pair(tmp_path, objects, classes))
    assert (record["height"], record["width"], record["image_id"]) == (3, 4, "a")
    person, plane, void = record["annotations"]
    assert [VOC_CLASSES[a["category_id"]] for a in (person, plane)] == ["person", "aeroplane"]
    assert [a["iscrowd"] for a in (person, plane, void)] == [0, 0, 1]
    assert plane["bbox"] == [3, 0, 1, 3]
    assert plane["bbox_mode"] == BoxMode.XYWH_ABS
    ignored = coco_mask.decode(void["segmentation"])
    np.testing.assert_array_equal(ignored, np.array(objects) == 255)


def test_the_majority_tells_the_class_of_an_object(tmp_path):
    record = read_image(write_pair(tmp_path, [[1, 1, 1, 0]], [[3, 3, 255, 0]]))
    assert [a["category_id"] for a in record["annotations"]] == [2]


def test_sbd_worked_by_hand(tmp_path):
    write_mat(tmp_path / "a.mat", [[0, 2, 2], [1, 0, 3]], [20, 1, 7])
    found = read_sbd(tmp_path / "a.mat")
    assert found.labels.tolist() == [[0, 2, 2], [1, 0, 3]]
    assert found.classes == {1: 19, 2: 0, 3: 6}
    assert found.crowds == ()


def test_an_image_without_objects(tmp_path):
    files = write_pair(tmp_path, np.zeros((3, 4)), np.zeros((3, 4)))
    assert read_image(files)["annotations"] == []


@pytest.mark.parametrize("number", [0, 21, 255])
def test_an_object_without_a_class_is_refused(tmp_path, number):
    files = write_pair(tmp_path, [[1, 0]], [[number, 0]])
    with pytest.raises(
        UserError, match=f"Class/a.png: found class {number} for object 1, expected"
    ):
        read_image(files)


def test_maps_of_different_sizes_are_refused(tmp_path):
    files = write_pair(tmp_path, [[1, 0]], [[1, 0, 0]])
    with pytest.raises(UserError, match=r"Class/a.png: found 3x1 pixels, expected the 2x1"):
        read_image(files)
    Image.fromarray(np.zeros((5, 7, 3), np.uint8)).save(files.image)
    Image.fromarray(np.ones((1, 2), np.uint8)).save(class_file(files))
    with pytest.raises(UserError, match=r"Object/a.png: found 2x1 pixels, expected the 7x5 of"):
        read_image(files)


def test_damaged_mat_files_are_refused(tmp_path):
    path = tmp_path / "a.mat"
    path.write_bytes(b"not a mat file at all")
    with pytest.raises(UserError, match="cannot be read as SBD's instances"):
        read_sbd(path)
    write_mat(path, [[1]], [1], name="GTcls")
    with pytest.raises(UserError, match="expected a struct GTinst"):
        read_sbd(path)
    write_mat(path, [[1, 2]], [1])
    with pytest.raises(UserError, match=r"found objects up to 2 .* and 1 Categories"):
        read_sbd(path)


def test_both_sources_have_the_objects_that_were_drawn(voc, sbd):
    scene = next(iter(numbered_scenes(list(TRAIN_SEEDS), SIZE)))
    from_sbd = read_image(voc_splits.sbd_images(sbd, "train")[0])
    masks = [coco_mask.decode(a["segmentation"]) for a in from_sbd["annotations"]]
    np.testing.assert_array_equal(masks, [scene.labels == k + 1 for k in range(len(masks))])
    from_voc = read_image(voc_splits.voc_images(voc, "train")[0])
    assert from_voc["image_id"] == from_sbd["image_id"] == "2008_000001"
    *objects, void = from_voc["annotations"]
    outline = coco_mask.decode(void["segmentation"])
    drawn = {a["category_id"]: 0 for a in from_sbd["annotations"]}
    assert {a["category_id"] for a in objects} <= drawn.keys()
    for annotation in objects:  # the outlines take a part of each object at most
        inner = coco_mask.decode(annotation["segmentation"])
        assert any((inner <= mask).all() for mask in masks)
        assert not (inner & outline).any()


def test_lists_of_the_layout(voc, sbd):
    assert stems(voc_splits.voc_images(voc, "train")) == [f"2008_00000{n}" for n in (1, 3, 4, 6, 7)]
    assert stems(voc_splits.voc_images(voc, "val")) == ["2009_000001", "2009_000003"]
    assert len(voc_splits.voc_images(voc, "trainval")) == 7
    assert stems(voc_splits.sbd_images(sbd, "train")) == [f"2008_00000{n}" for n in (1, 2, 4, 5, 7)]
    assert len(voc_splits.sbd_images(sbd)) == 7


def test_sds_divides_sbd_as_vocs_detection_lists_do(voc, sbd):
    sbd.joinpath("train.txt").rename(sbd / "own_train.txt")  # SBD's own lists have no part in it
    try:
        train, val = (voc_splits.sds_images(voc, sbd, part) for part in ("train", "val"))
    finally:
        sbd.joinpath("own_train.txt").rename(sbd / "train.txt")
    assert stems(train) == [f"2008_00000{n}" for n in (1, 2, 4, 5, 7)]
    assert stems(val) == ["2009_000001", "2009_000002"]
    assert all(image.labels.suffix == ".mat" for image in train + val)


def test_rsis_has_each_image_once_with_vocs_masks_and_none_of_vocs_val(voc, sbd):
    train, val = (voc_splits.rsis_images(voc, sbd, part) for part in ("train", "val"))
    together = {image.image_id: image for image in train + val}
    assert len(together) == len(train) + len(val) == 8
    assert set(together) == {*(f"2008_00000{n}" for n in range(1, 8)), "2009_000002"}
    assert len(val) == 1  # a tenth, rounded
    kinds = {stem: image.labels.suffix for stem, image in together.items()}
    assert kinds["2008_000001"] == kinds["2008_000003"] == ".png"
    assert kinds["2008_000002"] == kinds["2009_000002"] == ".mat"


def test_rsis_split_is_a_permutation_by_seed(voc, sbd):
    pool = sorted([*(f"2008_00000{n}" for n in range(1, 8)), "2009_000002"])
    order = np.random.RandomState(1337).permutation(8)
    assert stems(voc_splits.rsis_images(voc, sbd, "val")) == [pool[order[7]]]


def test_builtin_names_are_lazy_and_typed():
    for name in NAMES:
        assert isinstance(DatasetCatalog[name], VocImages)
        assert MetadataCatalog.get(name).thing_classes == list(VOC_CLASSES)
        assert MetadataCatalog.get(name).evaluator_type == "voc_segm"


def test_every_way_to_register_passes_the_validator(voc, sbd, new_name):
    names = [new_name() for _ in range(5)]
    Voc(names[0], voc, "train").register()
    Voc(names[1], voc).register()
    Sbd(names[2], sbd, "val").register()
    VocSbd(names[3], voc, sbd, "sds", "val").register()
    VocSbd(names[4], voc, sbd, "rsis", "train").register()
    for name, count in zip(names, (5, 7, 2, 2, 7), strict=True):
        report = validate_dicts(DatasetCatalog.get(name), VOC_CLASSES)
        assert report.problems == []
        assert report.summary.images == count
        assert report.summary.empty == 0


def test_a_list_written_is_a_list_read(voc, tmp_path, new_name):
    name = new_name()
    write_list(tmp_path / "lists" / "mine.txt", ["2008_000004", "2008_000001"])
    Voc(name, voc, tmp_path / "lists" / "mine.txt").register()
    dicts = DatasetCatalog.get(name)
    assert [record["image_id"] for record in dicts] == ["2008_000004", "2008_000001"]
    dicts[0]["annotations"].clear()
    assert DatasetCatalog.get(name)[0]["annotations"]


def test_what_is_missing_is_named(tmp_path, voc, sbd):
    with pytest.raises(UserError, match=r"ImageSets/Segmentation/train.txt: no such list"):
        voc_splits.voc_images(tmp_path, "train")
    with pytest.raises(UserError, match="SegmentationObject has no"):
        voc_splits.voc_images(tmp_path)
    with pytest.raises(UserError, match=r"inst has no \*.mat"):
        voc_splits.sbd_images(tmp_path)
    (tmp_path / "ImageSets" / "Main").mkdir(parents=True)
    (tmp_path / "ImageSets" / "Main" / "train.txt").write_text("2011_000009\n")
    with pytest.raises(UserError, match="has no image of"):
        voc_splits.sds_images(tmp_path, sbd, "train")
    for split, part in (("own", "train"), ("sds", "test")):
        with pytest.raises(UserError, match=r"VOC and SBD (split|part): found '.*', expected"):
            VocSbd("never", voc, sbd, split, part)


def test_survey_goes_on_after_a_bad_image(voc, sbd, tmp_path):
    copy = shutil.copytree(sbd, tmp_path / "sbd")
    (copy / "inst" / "2008_000002.mat").unlink()
    source = Sbd("s", copy, "train")
    records, problems = source.survey()
    assert [r["image_id"] for r in records] == [f"2008_00000{n}" for n in (1, 4, 5, 7)]
    assert [p.file for p in problems] == [str(copy / "img" / "2008_000002.jpg")]
    assert "2.mat: no such file" in problems[0].message
    with pytest.raises(UserError, match=r"2\.mat: no such file"):
        source()


def test_real_files(voc2007, new_name):
    name = new_name()
    Voc(name, voc2007).register()
    report = validate_dicts(DatasetCatalog.get(name), VOC_CLASSES)
    assert report.problems == []
    assert (report.summary.images, report.summary.objects) == (44, 115)
