"""The built-in data sets ``synthetic_scenes_{train,val,dev}``, drawn on demand, in two readings.

    synthetic_scenes_{train,val,dev}            every shape is an "object"; scored as class-agnostic
                                                mask proposals (evaluator type ``segment_proposal``)
    synthetic_scenes_classes_{train,val,dev}    the same images and masks, with six classes; scored
                                                by AP per class (evaluator type ``voc_segm``)

Images have the same ``image_id`` in both, so that proposals made on the one serve on the other.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.data.annotations import label_map_to_annotations
from recseg_d2.data.datasets.synthetic import synthetic_path
from recseg_d2.data.scenes import CLASSES, REFERENCE_SIZE, draw_scene_labels

# part: number of images, first seed. The ranges of seeds do not meet; "dev" is for choosing
# hyper-parameters, so that "val" stays unseen.
PARTS = {"train": (3000, 0), "val": (200, 1_000_000), "dev": (200, 2_000_000)}


def register_synthetic_scenes(
    name: str,
    num_images: int,
    first_seed: int,
    size: int = REFERENCE_SIZE,
    with_classes: bool = True,
) -> None:
    """Register scenes with the seeds ``first_seed`` ... as a data set.

    Args:
        name: the data set's name in the catalogs.
        num_images: how many.
        first_seed: keep the ranges of a training and a test set apart.
        size: side of the images in pixels.
        with_classes: six classes, for ``voc_segm``; else the one class "object", for
            ``segment_proposal``.
    """
    load = partial(load_scenes, num_images, first_seed, size, with_classes)
    DatasetCatalog.register(name, load)
    MetadataCatalog.get(name).set(
        thing_classes=list(CLASSES) if with_classes else ["object"],
        evaluator_type="voc_segm" if with_classes else "segment_proposal",
    )


def load_scenes(
    num_images: int, first_seed: int, size: int, with_classes: bool = True
) -> list[dict[str, Any]]:
    """Standard dicts of the scenes with ``num_images`` seeds from ``first_seed`` on."""
    return [_standard_dict(size, first_seed + i, with_classes) for i in range(num_images)]


def _standard_dict(size: int, seed: int, with_classes: bool) -> dict[str, Any]:
    labels, classes = draw_scene_labels(seed, size)
    categories = dict(enumerate(classes, start=1)) if with_classes else None
    return {
        "file_name": synthetic_path("scenes", size, seed),
        "height": size,
        "width": size,
        "image_id": seed,
        "annotations": label_map_to_annotations(labels, categories),
    }


def register_builtin() -> None:
    """Register the six names; drawing waits until they are used."""
    for part, (num_images, first_seed) in PARTS.items():
        for infix, with_classes in (("", False), ("_classes", True)):
            register_synthetic_scenes(
                f"synthetic_scenes{infix}_{part}", num_images, first_seed, with_classes=with_classes
            )
