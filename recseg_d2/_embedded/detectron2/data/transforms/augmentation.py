"""What an augmentation is: a policy that looks at the input and returns a transform."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fvcore.transforms.transform import Transform, TransformList

__all__ = ["AugInput", "Augmentation", "AugmentationList"]


class Augmentation:
    """Base class; a subclass defines ``get_transform``.

    The names of ``get_transform``'s arguments are the attributes of the ``AugInput`` that it is
    given; a single argument is the image, whatever its name.
    """

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # attributes come from _init

    def _init(self, params: dict[str, Any]) -> None:
        """Keep the constructor's arguments (its ``locals()``) as attributes."""
        for name, value in params.items():
            if name != "self" and not name.startswith("_"):
                setattr(self, name, value)

    def get_transform(self, *args: Any) -> Transform:
        raise NotImplementedError

    def __call__(self, aug_input: AugInput) -> Transform:
        """Transform the input in place, and return the transform for use on other data."""
        names = tuple(inspect.signature(self.get_transform).parameters)
        names = ("image",) if len(names) == 1 else names
        for name in names:
            if not hasattr(aug_input, name):
                kind = type(self).__name__
                raise AttributeError(f"{kind}.get_transform needs {name!r}, which is not given.")
        transform = self.get_transform(*(getattr(aug_input, name) for name in names))
        assert isinstance(transform, Transform | TransformList), (
            f"{type(self).__name__}.get_transform must return a Transform, got {transform!r}."
        )
        aug_input.transform(transform)
        return transform

    def _rand_range(self, low: float = 1.0, high: float | None = None, size: Any = None) -> Any:
        if high is None:
            low, high = 0.0, low
        return np.random.uniform(low, high, [] if size is None else size)  # noqa: NPY002


class _Fixed(Augmentation):
    """A transform in an augmentation's clothes."""

    def __init__(self, transform: Transform):
        self.transform = transform

    def get_transform(self, image: np.ndarray) -> Transform:
        return self.transform


class AugmentationList(Augmentation):
    """Augmentations or transforms one after another, each seeing what the one before left."""

    def __init__(self, augs: Sequence[Augmentation | Transform]):
        for aug in augs:
            assert isinstance(aug, Augmentation | Transform), f"{aug!r} is no augmentation."
        self.augs = [a if isinstance(a, Augmentation) else _Fixed(a) for a in augs]

    def __call__(self, aug_input: AugInput) -> TransformList:
        return TransformList([aug(aug_input) for aug in self.augs])


class AugInput:
    """What augmentations see and change together.

    Attributes:
        image: (H, W) or (H, W, C), uint8 in [0, 255] or floating point.
        boxes: (N, 4) float, XYXY in pixels, or None.
        sem_seg: (H, W) uint8, a label for each pixel, or None.
    """

    def __init__(
        self,
        image: np.ndarray,
        *,
        boxes: np.ndarray | None = None,
        sem_seg: np.ndarray | None = None,
    ):
        assert image.ndim in (2, 3), f"Expected (H, W) or (H, W, C), got shape {image.shape}."
        self.image = image
        self.boxes = boxes
        self.sem_seg = sem_seg

    def transform(self, tfm: Transform) -> None:
        self.image = tfm.apply_image(self.image)
        if self.boxes is not None:
            self.boxes = tfm.apply_box(self.boxes)
        if self.sem_seg is not None:
            self.sem_seg = tfm.apply_segmentation(self.sem_seg)

    def apply_augmentations(self, augmentations: Sequence[Any]) -> TransformList:
        return AugmentationList(augmentations)(self)
