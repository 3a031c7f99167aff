"""Data sets. Importing this registers the built-in names; nothing is read or drawn until used."""

from recseg_d2.data.datasets import (
    cityscapes,
    coco_subset,
    cvppp,
    cvppp_h5,
    kitti,
    kitti2015,
    synthetic,
    synthetic_scenes,
    voc,
)
from recseg_d2.data.datasets.cityscapes import register_cityscapes
from recseg_d2.data.datasets.coco_subset import register_coco_subset
from recseg_d2.data.datasets.cvppp import register_cvppp, register_cvppp_h5
from recseg_d2.data.datasets.kitti import register_kitti_cars
from recseg_d2.data.datasets.kitti2015 import register_kitti2015
from recseg_d2.data.datasets.label_maps import register_folder, register_label_map_dataset
from recseg_d2.data.datasets.own_data import register_own_data
from recseg_d2.data.datasets.synthetic import register_synthetic_rosettes
from recseg_d2.data.datasets.synthetic_scenes import register_synthetic_scenes
from recseg_d2.data.datasets.voc import register_sbd, register_voc, register_voc_sbd

__all__ = [
    "register_cityscapes",
    "register_coco_subset",
    "register_cvppp",
    "register_cvppp_h5",
    "register_folder",
    "register_kitti2015",
    "register_kitti_cars",
    "register_label_map_dataset",
    "register_own_data",
    "register_sbd",
    "register_synthetic_rosettes",
    "register_synthetic_scenes",
    "register_voc",
    "register_voc_sbd",
]

synthetic.register_builtin()
synthetic_scenes.register_builtin()
cvppp_h5.register_handler()
cvppp.register_builtin()
coco_subset.register_builtin()
voc.register_builtin()
cityscapes.register_builtin()
kitti.register_builtin()
kitti2015.register_builtin()
