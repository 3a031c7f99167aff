"""Rosettes as folders of images and label maps."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from recseg_d2.data.label_io import write_label_map
from recseg_d2.data.layouts.rosettes import numbered
from recseg_d2.files import make_folder


def write_label_maps(out: Path, part: str, seeds: list[int], size: int) -> None:
    """{train,val}/{images,labels}/rosette_NNNNNN.png."""
    images, labels = make_folder(out / part / "images"), make_folder(out / part / "labels")
    for number, image, label_map in numbered(seeds, size):
        Image.fromarray(image).save(images / f"rosette_{number:06d}.png")
        write_label_map(labels / f"rosette_{number:06d}.png", label_map)
