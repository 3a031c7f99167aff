"""Rosettes as CVPPP distributes its plants: PNG and HDF5."""

from __future__ import annotations

from pathlib import Path

from recseg_d2.data.io.hdf5 import create_h5
from recseg_d2.data.synthetic.layouts.drawn import numbered_rosettes, write_image


def write_cvppp(out: Path, part: str, seeds: list[int], size: int) -> None:
    """A1/plantNNN_{rgb,label}.png and, for validation, A1_test/plantNNN_rgb.png."""
    folder = out / ("A1" if part == "train" else "A1_test")
    for number, image, label_map in numbered_rosettes(seeds, size):
        write_image(folder / f"plant{number:03d}_rgb.png", image)
        if part == "train":
            write_image(folder / f"plant{number:03d}_label.png", label_map, with_palette=True)


def write_cvppp_h5(out: Path, part: str, seeds: list[int], size: int) -> None:
    """CVPPP2017_training_{images,truth}.h5 and, for validation, CVPPP2017_testing_images.h5."""
    name = "training" if part == "train" else "testing"
    with create_h5(out / f"CVPPP2017_{name}_images.h5") as images:
        for number, image, _ in numbered_rosettes(seeds, size):
            plant = images.create_group(f"A1/plant{number:03d}")
            plant["rgb"] = image
            plant["rgb_filename"] = f"plant{number:03d}_rgb.png"
    if part == "train":
        with create_h5(out / "CVPPP2017_training_truth.h5") as truth:
            for number, _, label_map in numbered_rosettes(seeds, size):
                plant = truth.create_group(f"A1/plant{number:03d}")
                plant["label"] = label_map
                plant["label_filename"] = f"plant{number:03d}_label.png"
