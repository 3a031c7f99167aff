"""What an augmentation is: a policy that looks at the input and returns a transform.

May use: numpy, fvcore.
"""

from __future__ import annotations

import inspect
import pprint
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from fvcore.transforms.transform import Transform, TransformList

__all__ = [
    "AugInput",
    "Augmentation",
    "AugmentationList",
    "StandardAugInput",
    "apply_augmentations",
]


class Augmentation:
    """Base class; a subclass defines ``get_transform``.

    The names of ``get_transform``'s arguments are the attributes of the ``AugInput`` that it is
    given; a single argument is the image, whatever its name.
    """

    input_args: tuple[str, ...] | None = None

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...  # attributes come from _init

    def _init(self, params: dict[str, Any]) -> None:
        """Keep the constructor's arguments (its ``locals()``) as attributes, for ``repr``."""
        for name, value in params.items():
            if name != "self" and not name.startswith("_"):
                setattr(self, name, value)

    def get_transform(self, *args: Any) -> Transform:
        raise NotImplementedError

    def __call__(self, aug_input: AugInput) -> Transform:
        """Transform the input in place, and return the transform for use on other data."""
        if self.input_args is None:
            self.input_args = self._argument_names()
        transform = self.get_transform(*(self._attribute(aug_input, n) for n in self.input_args))
        assert isinstance(transform, Transform | TransformList), (
            f"{type(self).__name__}.get_transform must return a Transform, got {transform!r}."
        )
        aug_input.transform(transform)
        return transform

    def _argument_names(self) -> tuple[str, ...]:
        parameters = list(inspect.signature(self.get_transform).parameters.values())
        if len(parameters) == 1:
            return ("image",)
        if any(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in parameters):
            raise TypeError(
                f"{type(self).__name__}.get_transform takes *args or **kwargs, so its inputs are "
                "not known: name them, or overwrite __call__."
            )
        return tuple(p.name for p in parameters)

    def _attribute(self, aug_input: Any, name: str) -> Any:
        if not hasattr(aug_input, name):
            raise AttributeError(
                f"{type(self).__name__}.get_transform needs {name!r}, which "
                f"{type(aug_input).__name__} does not have."
            )
        return getattr(aug_input, name)

    def _rand_range(self, low: float = 1.0, high: float | None = None, size: Any = None) -> Any:
        if high is None:
            low, high = 0.0, low
        return np.random.uniform(low, high, [] if size is None else size)  # noqa: NPY002

    def __repr__(self) -> str:
        """Name, and the constructor's arguments that are not at their defaults."""
        shown = []
        for name, parameter in inspect.signature(type(self).__init__).parameters.items():
            if name == "self":
                continue
            if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD) or not hasattr(
                self, name
            ):
                return super().__repr__()
            value = getattr(self, name)
            if value is not parameter.default:
                text = pprint.pformat(value)
                shown.append(f"{name}={'...' if chr(10) in text else text}")
        return f"{type(self).__name__}({', '.join(shown)})"


class _Fixed(Augmentation):
    """A transform in an augmentation's clothes."""

    def __init__(self, transform: Transform):
        self.transform = transform

    def get_transform(self, *args: Any) -> Transform:
        return self.transform

    def __repr__(self) -> str:
        return repr(self.transform)


def _transform_to_aug(item: Transform | Augmentation) -> Augmentation:
    assert isinstance(item, Transform | Augmentation), (
        f"Expected a Transform or an Augmentation, got {item!r}."
    )
    return item if isinstance(item, Augmentation) else _Fixed(item)


class AugmentationList(Augmentation):
    """Augmentations one after another, each seeing what the one before left."""

    def __init__(self, augs: Sequence[Augmentation | Transform]):
        self.augs = [_transform_to_aug(aug) for aug in augs]

    def __call__(self, aug_input: AugInput) -> TransformList:
        return TransformList([aug(aug_input) for aug in self.augs])

    def __repr__(self) -> str:
        return f"AugmentationList[{', '.join(map(str, self.augs))}]"


class AugInput:
    """What augmentations see and change: ``image``, and ``boxes`` and ``sem_seg`` if given."""

    def __init__(
        self,
        image: np.ndarray,
        *,
        boxes: np.ndarray | None = None,
        sem_seg: np.ndarray | None = None,
    ):
        """Take what is to be transformed together.

        Args:
            image: (H, W) or (H, W, C), uint8 in [0, 255] or floating point.
            boxes: (N, 4) float, XYXY in pixels.
            sem_seg: (H, W) uint8, a label for each pixel.
        """
        assert isinstance(image, np.ndarray), f"Expected an array, got {type(image).__name__}."
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


StandardAugInput = AugInput  # Detectron2's older name


def apply_augmentations(
    augmentations: Sequence[Any], inputs: np.ndarray | AugInput
) -> tuple[Any, TransformList]:
    """Augment an image or an ``AugInput``; returns the same kind, and the transforms."""
    if isinstance(inputs, np.ndarray):
        wrapped = AugInput(inputs)
        transforms = wrapped.apply_augmentations(augmentations)
        return wrapped.image, transforms
    return inputs, inputs.apply_augmentations(augmentations)
