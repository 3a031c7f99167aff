"""Rosettes as CVPPP distributes its plants: PNG and HDF5."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from recseg_d2.data.layouts.rosettes import hue_palette, numbered
from recseg_d2.errors import UserError
from recseg_d2.files import make_folder


def write_cvppp(out: Path, part: str, seeds: list[int], size: int) -> None:
    """A1/plantNNN_{rgb,label}.png and, for validation, A1_test/plantNNN_rgb.png."""
    folder = make_folder(out / ("A1" if part == "train" else "A1_test"))
    for number, image, label_map in numbered(seeds, size):
        Image.fromarray(image).save(folder / f"plant{number:03d}_rgb.png")
        if part == "train":
            indexed = Image.fromarray(label_map)
            indexed.putpalette(hue_palette())
            indexed.save(folder / f"plant{number:03d}_label.png")


def write_cvppp_h5(out: Path, part: str, seeds: list[int], size: int) -> None:
    """CVPPP2017_training_{images,truth}.h5 and, for validation, CVPPP2017_testing_images.h5."""
    try:
        import h5py
    except ImportError as error:
        raise UserError("layout cvppp_h5 needs h5py; run `pip install recseg_d2[hdf5]`.") from error
    name = "training" if part == "train" else "testing"
    with h5py.File(make_folder(out) / f"CVPPP2017_{name}_images.h5", "w") as images:
        for number, image, _ in numbered(seeds, size):
            plant = images.create_group(f"A1/plant{number:03d}")
            plant["rgb"] = image
            plant["rgb_filename"] = f"plant{number:03d}_rgb.png"
    if part == "train":
        with h5py.File(out / "CVPPP2017_training_truth.h5", "w") as truth:
            for number, _, label_map in numbered(seeds, size):
                plant = truth.create_group(f"A1/plant{number:03d}")
                plant["label"] = label_map
                plant["label_filename"] = f"plant{number:03d}_label.png"
