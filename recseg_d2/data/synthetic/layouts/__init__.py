"""Synthetic images as files, in the layouts of well-known data sets, one file a family.

For trying a data set's loader, its configs and the tools without the data itself.

A layout is a function of a folder, "train" or "val", the seeds of its images and their side in
pixels, which writes the images and everything else that the data set's loader reads, under the
official file names.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from recseg_d2.data.synthetic.layouts.coco import write_coco, write_coco_2014
from recseg_d2.data.synthetic.layouts.cvppp import write_cvppp, write_cvppp_h5
from recseg_d2.data.synthetic.layouts.label_maps import write_label_maps
from recseg_d2.data.synthetic.layouts.streets import write_cityscapes, write_kitti, write_kitti2015
from recseg_d2.data.synthetic.layouts.voc import write_voc
from recseg_d2.errors import UserError

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


def export_dataset(
    layout: str, out: str | Path, train_seeds: Sequence[int], val_seeds: Sequence[int], size: int
) -> None:
    """Write synthetic images as a data set.

    Args:
        layout: one of ``LAYOUTS``, whose functions say what they write.
        out: a folder, empty or not there yet.
        train_seeds: seeds of the images for training, an image each.
        val_seeds: images for validation, or the test set of CVPPP, one a seed.
        size: size of the images in pixels; the layout's function says of which side.

    Raises:
        UserError: the layout is unknown, or ``out`` has something in it.
    """
    out = Path(out)
    if layout not in LAYOUTS:
        raise UserError(f"layout: found {layout!r}, expected one of {', '.join(LAYOUTS)}.")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: is not an empty folder; name a new one, or empty it.")
    for part, seeds in (("train", train_seeds), ("val", val_seeds)):
        LAYOUTS[layout](out, part, list(seeds), size)
