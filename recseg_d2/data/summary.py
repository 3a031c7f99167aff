"""A data set in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from tabulate import tabulate

COUNT_BINS = (0, 1, 2, 5, 10, 20, 50)  # objects an image: 0, 1, 2-4, 5-9, 10-19, 20-49, 50 and more
QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)
# Objects of a smaller side can vanish; of so large a share of them it is said.
LEAST_SIDE, MOST_VANISHING = 2, 0.1
_MOST_SIZES = 3  # that are named in the table


@dataclass
class ImageFacts:
    """What is counted of one image.

    Attributes:
        size: height and width of the image in pixels.
        annotated: whether there is ground truth at all.
        categories: category id of each object, from 0.
        areas: area of each object's mask in pixels.
        crowds: number of crowd regions, which are not counted as objects.
    """

    size: tuple[int, int]
    annotated: bool = True
    categories: list[int] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    crowds: int = 0


@dataclass(frozen=True)
class Summary:
    """Numbers over a data set.

    Attributes:
        images: number of images.
        unannotated: number of images without ground truth.
        empty: number of annotated images without an object.
        objects: number of objects, crowds not counted.
        crowds: number of crowd regions.
        per_class: objects of each class, by name, in the order of the category ids.
        images_per_class: number of images that have an object of the class, for each class.
        per_image: annotated images by their number of objects: "0", "1", "2-4", ...
        objects_range: fewest, mean and most objects of an annotated image.
        image_sizes: images by "width x height", the most frequent first.
        object_sides: quantiles (0, 25, 50, 75 and 100 %) of the square root of the objects' areas,
            pixels; empty without objects.
        object_shares: the same quantiles of objects' areas as a share of the image's, in percent.
    """

    images: int
    unannotated: int
    empty: int
    objects: int
    crowds: int
    per_class: dict[str, int]
    images_per_class: dict[str, int]
    per_image: dict[str, int]
    objects_range: tuple[int, float, int]
    image_sizes: dict[str, int]
    object_sides: list[float]
    object_shares: list[float]

    @classmethod
    def of(cls, facts: Sequence[ImageFacts], classes: Sequence[str]) -> Summary:
        """Count.

        Args:
            facts: what is known of each image.
            classes: their names, in the order of the category ids.
        """
        annotated = [f for f in facts if f.annotated]
        counts = [len(f.categories) for f in annotated]
        objects = Counter(c for f in facts for c in f.categories)
        images = Counter(c for f in facts for c in set(f.categories))
        areas = np.array([a for f in facts for a in f.areas], dtype=float)
        shares = [100 * a / (f.size[0] * f.size[1]) for f in facts for a in f.areas]
        sizes = Counter(f"{f.size[1]} x {f.size[0]}" for f in facts)
        return cls(
            images=len(facts),
            unannotated=len(facts) - len(annotated),
            empty=counts.count(0),
            objects=sum(counts),
            crowds=sum(f.crowds for f in facts),
            per_class={name: objects[i] for i, name in enumerate(classes)},
            images_per_class={name: images[i] for i, name in enumerate(classes)},
            per_image=_histogram(counts),
            objects_range=(
                min(counts, default=0),
                float(np.mean(counts)) if counts else 0.0,
                max(counts, default=0),
            ),
            image_sizes=dict(sizes.most_common()),
            object_sides=_quantiles(np.sqrt(areas)),
            object_shares=_quantiles(np.array(shares)),
        )

    def as_dict(self) -> dict[str, Any]:
        """The attributes by name, as JSON can hold them."""
        return asdict(self)

    def table(self) -> str:
        """The summary as text for the terminal; classes without an object are left out."""
        fewest, mean, most = self.objects_range
        rows = [
            ("images", str(self.images)),
            ("images without annotations", str(self.unannotated)),
            ("images without an object", str(self.empty)),
            ("image sizes (width x height)", _sizes(self.image_sizes)),
            ("objects", str(self.objects)),
            ("crowds", str(self.crowds)),
            ("objects an image (fewest, mean, most)", f"{fewest}, {mean:.2f}, {most}"),
            ("images by objects", _pairs(self.per_image)),
            ("side of an object, pixels (0 25 50 75 100 %)", _numbers(self.object_sides)),
            ("share of its image, % (0 25 50 75 100 %)", _numbers(self.object_shares)),
        ]
        found = [
            (name, count, self.images_per_class[name]) for name, count in self.per_class.items()
        ]
        present = [row for row in found if row[1]]
        text = tabulate(rows, tablefmt="plain", disable_numparse=True)
        if present:
            text += "\n\n" + tabulate(present, headers=("class", "objects", "images"))
        return text


def tell_vanishing(facts: Sequence[ImageFacts], size: tuple[int, int]) -> str:
    """A sentence on objects that are too small at the size that a model works at; or nothing.

    Args:
        facts: of each image.
        size: height and width that images are resized to, pixels.
    """
    scales = [size[0] * size[1] / (f.size[0] * f.size[1]) for f in facts]
    sides = [
        (area * scale) ** 0.5 for f, scale in zip(facts, scales, strict=True) for area in f.areas
    ]
    small = sum(side < LEAST_SIDE for side in sides)
    if small <= MOST_VANISHING * len(sides):
        return ""
    return (
        f"{small} of {len(sides)} objects are under {LEAST_SIDE} pixels at {size[1]}x{size[0]}, "
        "the size that the images are brought to: raise MODEL.SEQUENTIAL.IMAGE_SIZE, or cut the "
        "images into tiles."
    )


def _histogram(counts: Sequence[int]) -> dict[str, int]:
    """Images by their number of objects, in ``COUNT_BINS``; empty bins are left out."""
    result: dict[str, int] = {}
    for low, high in zip(COUNT_BINS, (*COUNT_BINS[1:], None), strict=True):
        number = sum(low <= c and (high is None or c < high) for c in counts)
        if number:
            last = None if high is None else high - 1
            result[str(low) if low == last else f"{low}-{'' if last is None else last}"] = number
    return result


def _quantiles(values: np.ndarray) -> list[float]:
    return [float(v) for v in np.quantile(values, QUANTILES)] if values.size else []


def _numbers(values: Sequence[float]) -> str:
    return "  ".join(f"{v:.3g}" for v in values) or "-"


def _pairs(counts: dict[str, int]) -> str:
    return ", ".join(f"{name}: {count}" for name, count in counts.items()) or "-"


def _sizes(sizes: dict[str, int]) -> str:
    shown = dict(list(sizes.items())[:_MOST_SIZES])
    more = len(sizes) - len(shown)
    return _pairs(shown) + (f", {more} more sizes" if more else "")
