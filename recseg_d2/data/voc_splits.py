"""Which images of Pascal VOC 2012 and SBD belong to which split.

``voc`` is the folder with JPEGImages, ImageSets, ..., ``sbd`` that with img, inst, cls, train.txt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np

from recseg_d2.data.voc_files import VocImage
from recseg_d2.errors import UserError
from recseg_d2.files import make_place

RSIS_SEED, RSIS_TRAIN_SHARE = 1337, 0.9


def voc_images(voc: Path, image_set: str | Path | None = None) -> list[VocImage]:
    """Images with Pascal VOC's own masks.

    Args:
        voc: the data set's folder.
        image_set: a list in ImageSets/Segmentation ("train", "val", "trainval": 1464, 1449 and
            2913 images in 2012), the path of a file of stems, or None for all that have masks.

    Raises:
        UserError: the list or the folder is missing.
    """
    masks, lists = voc / "SegmentationObject", voc / "ImageSets" / "Segmentation"
    stems = _chosen_stems(image_set, lists, masks, "*.png")
    return [_voc_image(voc, stem) for stem in stems]


def sbd_images(sbd: Path, image_set: str | Path | None = None) -> list[VocImage]:
    """Images with SBD's masks.

    Args:
        sbd: SBD's folder.
        image_set: "train" or "val" (SBD's lists of 8498 and 2857 images), the path of a file of
            stems, or None for all 11355.

    Raises:
        UserError: the list or the folder is missing.
    """
    stems = _chosen_stems(image_set, sbd, sbd / "inst", "*.mat")
    return [_sbd_image(sbd, stem) for stem in stems]


def sds_images(voc: Path, sbd: Path, part: str) -> list[VocImage]:
    """The split of Hariharan et al. 2014 (SDS): 5623 and 5732 images, all with SBD's masks.

    SBD's images, divided as the detection lists of VOC 2012 (ImageSets/Main) divide them.

    Args:
        voc: the folder of VOC 2012.
        sbd: SBD's folder.
        part: "train" or "val".

    Raises:
        UserError: a list or a folder is missing, or no image is in both.
    """
    listed = set(read_stems(voc / "ImageSets" / "Main" / f"{part}.txt"))
    images = [image for image in sbd_images(sbd) if image.stem in listed]
    return _some(images, f"{sbd / 'inst'} has no image of {voc / 'ImageSets' / 'Main'}/{part}.txt")


def rsis_images(voc: Path, sbd: Path, part: str) -> list[VocImage]:
    """What Salvador et al. 2017 train on: SBD and VOC's train, without the images of VOC's val.

    An image of both has VOC's masks. The images, in the order of their stems, are shuffled, and the
    first nine tenths are for training; the authors' own order depended on the run and cannot be
    repeated, so only the sizes can.

    Args:
        voc: the folder of VOC 2012.
        sbd: SBD's folder.
        part: "train" or "val", the tenth on which their training is watched. Their test set is
            VOC's val.

    Raises:
        UserError: a list or a folder is missing, or no image is left.
    """
    pool = {image.stem: image for image in sbd_images(sbd)}
    pool.update({image.stem: image for image in voc_images(voc, "train")})
    for stem in read_stems(voc / "ImageSets" / "Segmentation" / "val.txt"):
        pool.pop(stem, None)
    stems = sorted(pool)
    order = np.random.RandomState(RSIS_SEED).permutation(len(stems))
    first = round(RSIS_TRAIN_SHARE * len(stems))
    chosen = order[:first] if part == "train" else order[first:]
    images = [pool[stems[i]] for i in sorted(chosen)]
    return _some(images, f"{sbd} and {voc}: {len(stems)} images leave none for {part!r}")


PAIRED_SPLITS: dict[str, Callable[[Path, Path, str], list[VocImage]]] = {
    "sds": sds_images,
    "rsis": rsis_images,
}


def read_stems(path: Path) -> list[str]:
    """The stems of a list file, one a line; what follows a stem on its line is ignored.

    Raises:
        UserError: there is no such file, or it lists nothing.
    """
    if not path.is_file():
        raise UserError(
            f"{path}: no such list; expected Pascal VOC 2012 in $DETECTRON2_DATASETS/VOC2012 and "
            "SBD in $DETECTRON2_DATASETS/benchmark_RELEASE/dataset, as they unpack."
        )
    stems = [line.split()[0] for line in path.read_text().splitlines() if line.strip()]
    return _some(stems, f"{path} lists no image")


def write_stems(path: str | Path, stems: Iterable[str]) -> None:
    """Write a list file that ``read_stems`` reads.

    Raises:
        UserError: the file cannot be written there.
    """
    make_place(path).write_text("".join(f"{stem}\n" for stem in stems))


def _voc_image(voc: Path, stem: str) -> VocImage:
    image = voc / "JPEGImages" / f"{stem}.jpg"
    objects, classes = voc / "SegmentationObject", voc / "SegmentationClass"
    return VocImage(stem, image, objects / f"{stem}.png", classes / f"{stem}.png")


def _sbd_image(sbd: Path, stem: str) -> VocImage:
    return VocImage(stem, sbd / "img" / f"{stem}.jpg", sbd / "inst" / f"{stem}.mat")


def _chosen_stems(
    image_set: str | Path | None, lists: Path, masks: Path, pattern: str
) -> list[str]:
    """Of a named list, of a file of stems, or of all that have masks."""
    if image_set is None:
        return sorted(path.stem for path in _listed(masks, pattern))
    file = Path(image_set)
    return read_stems(file if file.is_file() else lists / f"{image_set}.txt")


def _listed(folder: Path, pattern: str) -> list[Path]:
    return _some(list(folder.glob(pattern)), f"{folder} has no {pattern}")


def _some(found: list, otherwise: str) -> list:
    if not found:
        raise UserError(f"{otherwise}; check the path, and unpack the data set there.")
    return found
