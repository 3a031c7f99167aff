from __future__ import annotations

import shutil

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.config import get_recseg_cfg
from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.data.mapper import InstanceMapper
from recseg_d2.data.sources.kitti import SPLITS, KittiCars
from recseg_d2.data.synthetic.layouts import export_dataset
from recseg_d2.data.synthetic.layouts.streets import TEST_SEEDS
from recseg_d2.data.synthetic.streets import draw_street
from recseg_d2.data.validation import check_dataset_dicts
from recseg_d2.errors import UserError

HEIGHT, SIZE = 48, (48, 159)
SEEDS = {"train": [4, 5, 6], "val": [8, 9], "test": [8 + TEST_SEEDS, 9 + TEST_SEEDS]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    out = tmp_path_factory.mktemp("streets") / "kitti"
    export_dataset("kitti", out, SEEDS["train"], SEEDS["val"], HEIGHT)
    return out


@pytest.fixture
def copy(root, tmp_path):
    """A data set to damage."""
    return shutil.copytree(root, tmp_path / "kitti")


def small_config():
    cfg = get_recseg_cfg()
    cfg.INPUT.FORMAT = "RGB"
    cfg.MODEL.SEQUENTIAL.IMAGE_SIZE = SIZE
    cfg.MODEL.NUM_CLASSES = 1
    cfg.MODEL.SEQUENTIAL.STEPS = 50
    return cfg


def load(new_name, root, split):
    name = new_name()
    KittiCars(name, root, split).register()
    return DatasetCatalog.get(name)


def cars(seed):
    ids = draw_street(seed, SIZE).ids
    return [ids == value for value in np.unique(ids) if value // 1000 == 26]


@pytest.mark.parametrize("split", SPLITS)
def test_annotations_are_the_cars_that_were_drawn(root, new_name, split):
    records = load(new_name, root, split)
    check_dataset_dicts(records, split, num_classes=1)
    for record, seed in zip(records, SEEDS[split], strict=True):
        masks = [coco_mask.decode(a["segmentation"]) for a in record["annotations"]]
        for mask, expected in zip(masks, cars(seed), strict=True):
            np.testing.assert_array_equal(mask, expected)


def test_a_mapped_sample_has_the_masks_that_were_drawn(root, new_name):
    mapper = InstanceMapper(small_config(), is_train=False)
    masks = mapper(load(new_name, root, "train")[0])["instances"].gt_masks.tensor.numpy()
    np.testing.assert_array_equal(masks, cars(SEEDS["train"][0]))


def test_files_are_the_official_ones(root, new_name):
    assert sorted(p.name for p in root.iterdir()) == [
        "gt", "gt_man", "images", "test_man.txt", "train.txt", "valid_man.txt",
    ]  # fmt: skip
    assert (root / "valid_man.txt").read_text() == "000003\n000004\n"
    record = load(new_name, root, "test")[1]
    assert (record["image_id"], record["file_name"]) == ("000006", f"{root}/images/000006.png")
    assert (root / "gt_man/000006.png").is_file()


def test_builtin_names_and_metadata():
    for split in SPLITS:
        metadata = MetadataCatalog.get(f"recseg_kitti_{split}")
        assert f"recseg_kitti_{split}" in DatasetCatalog.list()
        assert metadata.thing_classes == ["car"]
        assert metadata.evaluator_type == "label_map"
        assert metadata.metrics == ("mwcov", "mucov", "avgfp", "avgfn", "dic")


@pytest.mark.parametrize("kind", ["colour", "palette", "deep"])
def test_label_maps_of_any_kind(copy, new_name, kind):
    path = copy / "gt/000000.png"
    labels = read_label_map(path)
    colours = np.array([(0, 0, 0), *((9, 200, k + 1) for k in range(255))], np.uint8)
    if kind == "colour":
        Image.fromarray(colours[labels]).save(path)
    elif kind == "palette":
        indexed = Image.fromarray(labels.astype(np.uint8))
        indexed.putpalette(colours.ravel().tolist())
        indexed.save(path)
    else:
        Image.fromarray((labels * 300).astype(np.uint16)).save(path)
    found = load(new_name, copy, "train")[0]["annotations"]
    for annotation, expected in zip(found, cars(SEEDS["train"][0]), strict=True):
        np.testing.assert_array_equal(coco_mask.decode(annotation["segmentation"]), expected)


@pytest.mark.parametrize("line", ["1", "000001", "000001.png", "images/000001.png 7", " 000001 \n"])
def test_lists_name_images_in_several_ways(tmp_path, line):
    (tmp_path / "train.txt").write_text(f"{line}\n\n000012\n")
    found = KittiCars("lists", tmp_path, "train").find()
    assert [files.image_id for files in found] == ["000001", "000012"]


def test_bad_lists_are_refused(tmp_path, copy, new_name):
    with pytest.raises(
        UserError, match=r"gone/train\.txt: no such list.*make-dataset kitti .*gone"
    ):
        load(new_name, tmp_path / "gone", "train")
    (copy / "train.txt").write_text("\n")
    with pytest.raises(UserError, match=r"train\.txt: found no image"):
        load(new_name, copy, "train")
    (copy / "train.txt").write_text("000001\n000000\n1\n")
    with pytest.raises(UserError, match=r"train\.txt: found 000001 2 times"):
        load(new_name, copy, "train")
    with pytest.raises(UserError, match="split: found 'dev', expected one of train"):
        KittiCars(new_name(), copy, "dev")


def test_damaged_sets_are_refused_by_name(copy, new_name):
    path = copy / "gt/000001.png"
    Image.new("L", (10, 48)).save(path)
    with pytest.raises(UserError, match=r"000001\.png: found 10x48 pixels, expected the 159x48"):
        load(new_name, copy, "train")
    Image.new("1", (159, 48)).save(path)
    with pytest.raises(UserError, match=r"000001\.png: found pixel type '1'"):
        load(new_name, copy, "train")
    path.unlink()
    with pytest.raises(UserError, match=r"gt/000001\.png: no such file, expected .*make-dataset"):
        load(new_name, copy, "train")
    shutil.copy(copy / "gt/000002.png", path)
    (copy / "images/000002.png").unlink()
    with pytest.raises(UserError, match=r"images/000002\.png: no such file"):
        load(new_name, copy, "train")
