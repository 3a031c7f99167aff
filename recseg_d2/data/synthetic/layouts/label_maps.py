"""Rosettes as folders of images and label maps."""

from __future__ import annotations

from pathlib import Path

from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.data.synthetic.layouts.drawn import numbered_rosettes, write_image
from recseg_d2.files import make_folder


def write_label_maps(out: Path, part: str, seeds: list[int], size: int) -> None:
    """Write one part as {train,val}/{images,labels}/rosette_NNNNNN.png."""
    images, labels = make_folder(out / part / "images"), make_folder(out / part / "labels")
    for number, image, label_map in numbered_rosettes(seeds, size):
        write_image(images / f"rosette_{number:06d}.png", image)
        write_label_map(labels / f"rosette_{number:06d}.png", label_map)
