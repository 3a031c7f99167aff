"""Models as functions of tensors alone, for images of one size: what ``export`` writes.

Input images are (1, channels, H, W) float, with pixel values as they are stored, at the working
resolution: INPUT.SCALE, or a sequential model's resizing, comes before. No step depends in Python
on what another found.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.layers.intensity import unit_intensity_of_tensor
from recseg_d2.layers.region_features import region_features, region_masks
from recseg_d2.meta_arch import DenseAttentionSeg, InstanceFCNProposal, MaskProposalClassifier
from recseg_d2.meta_arch.base import MetaArchitecture
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.models.dense_attention.fixed_search import FixedSearch
from recseg_d2.models.instance_fcn.proposals import dense_windows

_WINDOWS, _LOOKS, _PROPOSALS = 100, 32, 100  # where no number is asked for


class Exportable(nn.Module, ABC):
    """A model in evaluation mode, as a function of tensors of one size.

    Args:
        model: with its weights.
        size: H and W of images in pixels.

    Attributes:
        input_names: of what ``forward`` takes, in order.
    """

    input_names: tuple[str, ...] = ("image",)

    def __init__(self, model: MetaArchitecture, size: tuple[int, int]) -> None:
        super().__init__()
        self.model, self.size = model, size

    @property
    @abstractmethod
    def output_names(self) -> tuple[str, ...]:
        """Names of what ``forward`` returns, in order."""

    def unit(self, image: torch.Tensor) -> torch.Tensor:
        """(1, channels, H, W) as stored -> (channels, H, W) in the range that the model takes."""
        return unit_intensity_of_tensor(image[0].float(), self.model.intensity)

    def example(self) -> tuple[torch.Tensor, ...]:
        """Inputs of the right sizes and types."""
        shape = (1, self.model.in_channels, *self.size)
        return (torch.rand(shape, generator=torch.Generator().manual_seed(0)) * 255,)


class ExportableSequence(Exportable):
    """A sequential model: an image to the objects of all its steps.

    Outputs are ``masks`` (T, H, W) and ``scores`` (T,), probabilities, and of a model with classes
    ``classes`` (T, C), probabilities.

    Args:
        model: see ``Exportable``; images have its working resolution.
        steps: T.
    """

    model: SequentialModel

    def __init__(self, model: SequentialModel, steps: int) -> None:
        super().__init__(model, model.image_size)
        self.steps = steps

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        images = self.model.normalised(self.unit(image))[None]
        sequence = self.model.run_sequence(images, self.steps)
        found = [sequence.mask_logits[0].sigmoid(), sequence.score_logits[0].sigmoid()]
        if sequence.class_logits is not None:
            found.append(sequence.class_logits[0].softmax(dim=-1))
        return tuple(found)

    @property
    def output_names(self) -> tuple[str, ...]:
        """See ``Exportable``."""
        with torch.no_grad():
            return ("masks", "scores", "classes")[: len(self(*self.example()))]


class ExportableSearch(Exportable):
    """DenseAttentionSeg: an image to the objects of a fixed number of looks, one after another.

    Outputs are ``labels`` (H, W) int64, a label map whose objects are 1, 2, ... in the order of
    discovery, ``scores`` (T,), zeros after the last object, and of a model with classes
    ``classes`` (T, C), probabilities.

    Args:
        model: see ``Exportable``.
        size: see ``Exportable``.
        looks: T.
    """

    model: DenseAttentionSeg

    def __init__(self, model: DenseAttentionSeg, size: tuple[int, int], looks: int) -> None:
        super().__init__(model, size)
        self.search = FixedSearch(model.network, model.options.test, size, looks)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        return self.search(self.model.seen(self.unit(image)))

    @property
    def output_names(self) -> tuple[str, ...]:
        """See ``Exportable``."""
        return ("labels", "scores", "classes")[: 3 if self.model.num_classes > 1 else 2]


class ExportableProposals(Exportable):
    """InstanceFCNProposal: an image to its best windows at one scale, before suppression.

    Outputs, the best first: ``masks`` (K, s, s), probabilities in windows, ``windows`` (K, 4), x1
    y1 x2 y2 in pixels, and ``scores`` (K,), probabilities.

    Args:
        model: see ``Exportable``.
        size: see ``Exportable``; multiples of the model's stride.
        count: K.

    Raises:
        UserError: the size is no multiple.
    """

    model: InstanceFCNProposal
    output_names = ("masks", "windows", "scores")

    def __init__(self, model: InstanceFCNProposal, size: tuple[int, int], count: int) -> None:
        super().__init__(model, size)
        stride = model.network.stride
        if size[0] % stride or size[1] % stride:
            raise UserError(f"--size is {size[0]} {size[1]}; expected multiples of {stride}.")
        cells = size[0] * size[1] // stride**2
        self.count = min(count, cells)
        every = dense_windows(1, size[0] // stride, size[1] // stride, torch.device("cpu"))
        self.register_buffer("every", every)

    every: torch.Tensor

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        network = self.model.network
        maps = network(self.model.normalised(self.unit(image))[None])
        scores, best = maps.objectness.flatten().sigmoid().topk(self.count)
        windows = self.every[best]
        masks = network.mask_logits(maps, windows).sigmoid()
        return masks, network.geometry.boxes(windows).float(), scores


class ExportableClassifier(Exportable):
    """MaskProposalClassifier: an image and its proposals to the proposals' classes.

    Beside the image it takes ``masks`` (R, H, W) uint8, 1 inside of a proposal. The output
    ``classes`` (R, C + 1) are probabilities, the last the background's; an empty mask fills the
    place of a proposal where there are fewer than R.

    Args:
        model: see ``Exportable``.
        size: see ``Exportable``.
        count: R.
    """

    model: MaskProposalClassifier
    input_names = ("image", "masks")
    output_names = ("classes",)

    def __init__(self, model: MaskProposalClassifier, size: tuple[int, int], count: int) -> None:
        super().__init__(model, size)
        self.count = count

    def forward(self, image: torch.Tensor, masks: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        model, inside = self.model, masks.bool()
        features = model.backbone(self._padded(model.normalised(self.unit(image))[None]))
        boxes = masks_to_boxes(inside)
        side, samples = model.classifier.side, model.options.region_samples
        first = torch.zeros(self.count, dtype=torch.int64)
        read = region_features(features[model.feature], boxes, first, model.stride, side, samples)
        scores = model.classifier(read, region_masks(inside, boxes, side))
        return (scores.softmax(dim=1),)

    def _padded(self, images: torch.Tensor) -> torch.Tensor:
        """Zeros to multiples of the coarsest stride, as Detectron2's ``ImageList`` has them."""
        stride = max(shape.stride or 1 for shape in self.model.backbone.output_shape().values())
        return F.pad(images, (0, -self.size[1] % stride, 0, -self.size[0] % stride))

    def example(self) -> tuple[torch.Tensor, ...]:
        """See ``Exportable``; squares for proposals."""
        masks = torch.zeros(self.count, *self.size, dtype=torch.uint8)
        for number in range(self.count):
            y, x = number % (self.size[0] // 2), 3 * number % (self.size[1] // 2)
            masks[number, y : y + self.size[0] // 2, x : x + self.size[1] // 2] = 1
        return (*super().example(), masks)


def exportable(model: Any, size: tuple[int, int], count: int) -> Exportable:
    """A model as what can be exported of it.

    Args:
        model: any of this package's, with its weights.
        size: height and width of images, for models that have no size of their own.
        count: steps, looks, windows or proposals; 0 is all steps, 32 looks, or 100 of the others.

    Raises:
        UserError: the model is another, or has no network yet that finds objects.
    """
    model = model.eval().cpu()
    if isinstance(model, SequentialModel):
        return ExportableSequence(model, count or model.steps)
    if isinstance(model, DenseAttentionSeg):
        return ExportableSearch(model, size, count or _LOOKS)
    if isinstance(model, InstanceFCNProposal):
        return ExportableProposals(model, size, count or _WINDOWS)
    if isinstance(model, MaskProposalClassifier):
        return ExportableClassifier(model, size, count or _PROPOSALS)
    raise UserError(f"{type(model).__name__} cannot be exported: it is no model of this package.")
