"""Layouts of well-known data sets, one file each.

A layout is a function of a folder, "train" or "val", the seeds of its images and their side in
pixels, which writes the images and everything else that the data set's loader reads, under the
official file names.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recseg_d2.data.layouts.coco import write_coco
from recseg_d2.data.layouts.coco_2014 import write_coco_2014
from recseg_d2.data.layouts.cvppp import write_cvppp, write_cvppp_h5
from recseg_d2.data.layouts.label_maps import write_label_maps
from recseg_d2.data.layouts.streets import write_cityscapes, write_kitti, write_kitti2015
from recseg_d2.data.layouts.voc import write_voc

Layout = Callable[[Path, str, list[int], int], None]

LAYOUTS: dict[str, Layout] = {
    "label_maps": write_label_maps,
    "cvppp": write_cvppp,
    "cvppp_h5": write_cvppp_h5,
    "coco": write_coco,
    "coco_2014": write_coco_2014,
    "voc": write_voc,
    "cityscapes": write_cityscapes,
    "kitti": write_kitti,
    "kitti2015": write_kitti2015,
}
