"""What every registered model shares: dicts in, normalised images, ``Instances`` out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode
from detectron2.structures import Boxes, Instances
from torch import nn

from recseg_d2.backbones.pretrained import own_names
from recseg_d2.config import read_options
from recseg_d2.config.options import InputOptions, ModelOptions
from recseg_d2.data.annotations import IGNORED
from recseg_d2.errors import UserError
from recseg_d2.layers.boxes import masks_to_boxes
from recseg_d2.layers.images import resize_image, scaled_size
from recseg_d2.layers.intensity import unit_intensity
from recseg_d2.layers.masks import resize_masks
from recseg_d2.structures import LabelMapMasks


class MetaArchitecture(nn.Module):
    """Skeleton of a model; a subclass gives ``losses`` and ``inference``.

    Args:
        pixel_mean: subtracted from each channel of an image; any number of channels.
        pixel_std: what each channel is divided by then.
        model_options: number of classes and precision.
        input_options: what becomes of the values and the size of an image before all else.

    Raises:
        UserError: mean and standard deviation differ in their number of channels.
    """

    ordered = False  # whether "step" of its instances is the order of discovery
    # Config key of the least score, 0 to 1, of an object that is kept; "": the model has none. It
    # is a field of the model's ``options.test``, unless the model has its own ``set_score_thresh``.
    score_key = ""
    options: Any  # of the model alone, a frozen dataclass; not every model has them

    pixel_mean: torch.Tensor
    pixel_std: torch.Tensor

    def __init__(
        self,
        *,
        pixel_mean: list[float],
        pixel_std: list[float],
        model_options: ModelOptions,
        input_options: InputOptions = InputOptions(),  # noqa: B008  (frozen)
    ) -> None:
        super().__init__()
        if len(pixel_mean) != len(pixel_std):
            raise UserError(
                f"MODEL.PIXEL_MEAN has {len(pixel_mean)} values and MODEL.PIXEL_STD "
                f"{len(pixel_std)}; expected one each for every channel of an image."
            )
        self.num_classes = model_options.num_classes
        self.precision = model_options.precision
        self.intensity = input_options.intensity
        self.scale = input_options.scale if input_options.resize == "scale" else 1.0
        self.register_buffer("pixel_mean", torch.tensor(pixel_mean).view(-1, 1, 1), False)
        self.register_buffer("pixel_std", torch.tensor(pixel_std).view(-1, 1, 1), False)

    @staticmethod
    def shared_arguments(cfg: CfgNode) -> dict[str, Any]:
        """The constructor's arguments from MODEL and INPUT."""
        return {
            "pixel_mean": list(cfg.MODEL.PIXEL_MEAN),
            "pixel_std": list(cfg.MODEL.PIXEL_STD),
            "model_options": read_options(cfg, ModelOptions),
            "input_options": read_options(cfg, InputOptions),
        }

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.pixel_mean.device

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return len(self.pixel_mean)

    def forward(self, batched_inputs: list[dict[str, Any]]) -> Any:
        """Losses in training; otherwise a dict for each image, with its ``instances``.

        Args:
            batched_inputs: Detectron2's dicts: ``image`` (channels, h, w) of any size, with the
                values of its file unless ``prepared`` says that INPUT.INTENSITY and INPUT.SCALE
                were applied already; in training ``instances`` with ``gt_masks`` and
                ``gt_classes``, and where it is not known what the image shows ``ignored``, (h, w)
                bool, where there is no loss; ``height`` and ``width`` ask for a size of masks.
        """
        if self.training:
            return self.losses(batched_inputs)
        return self.inference(batched_inputs)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *rest: Any) -> None:
        """Whatever loads a checkpoint may give the encoder's weights the names of its source."""
        if not prefix:
            renamed = own_names(self, state_dict)
            state_dict.clear()
            state_dict.update(renamed)
        super()._load_from_state_dict(state_dict, prefix, *rest)

    def set_score_thresh(self, least: float) -> None:
        """Keep objects of this score, 0 to 1, or more from now on, whatever the config says."""
        name = self.score_key.rpartition(".")[2].lower()
        test = replace(self.options.test, **{name: least})
        self.options = replace(self.options, test=test)

    def losses(self, batched_inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Loss terms of a batch with ground truth, in training mode or not."""
        raise TypeError(f"{type(self).__name__} has to define losses.")

    def inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Predictions for a batch, each at the size that its dict asks for."""
        raise TypeError(f"{type(self).__name__} has to define inference.")

    def unit_image(self, dict_: dict[str, Any]) -> torch.Tensor:
        """The image of an input dict, (channels, h, w) float on the model's device.

        Its values are brought to the range that INPUT.INTENSITY says, and it is magnified by
        INPUT.SCALE, where the data loader did not do so already.
        """
        image = dict_["image"]
        if dict_.get("prepared", False):
            return image.to(self.device).float()
        if self.intensity.kind != "stored":
            array = np.ascontiguousarray(image.cpu().numpy().transpose(1, 2, 0))
            image = torch.from_numpy(unit_intensity(array, self.intensity).transpose(2, 0, 1))
        size = scaled_size((image.shape[1], image.shape[2]), self.scale)
        return resize_image(image.to(self.device).float(), size)

    def true_masks(self, dict_: dict[str, Any]) -> torch.Tensor:
        """The true masks of an input dict, (N, h, w) bool at the size of its ``unit_image``."""
        instances = dict_["instances"]
        masks = mask_tensor(instances, instances.image_size)
        if dict_.get("prepared", False):
            return masks
        height, width = instances.image_size
        return resize_masks(masks, scaled_size((height, width), self.scale))

    def normalised(self, image: torch.Tensor) -> torch.Tensor:
        """(channels, h, w) of any type -> float of about zero mean, on the model's device.

        Raises:
            UserError: the image has another number of channels than MODEL.PIXEL_MEAN.
        """
        if len(image) != self.in_channels:
            raise UserError(
                f"An image has {len(image)} channels; expected the {self.in_channels} of "
                "MODEL.PIXEL_MEAN and MODEL.PIXEL_STD."
            )
        return (image.to(self.device).float() - self.pixel_mean) / self.pixel_std

    def in_precision(self) -> AbstractContextManager[Any]:
        """Inside, convolutions and matrix products run in MODEL.PRECISION."""
        shorter = self.precision != "float32"
        kind = torch.float16 if self.precision == "float16" else torch.bfloat16
        return torch.autocast(self.device.type, dtype=kind, enabled=shorter)


def make_instances(
    masks: torch.Tensor | LabelMapMasks,
    scores: torch.Tensor,
    classes: torch.Tensor,
    step: torch.Tensor | None = None,
) -> Instances:
    """Predictions for an image as Detectron2's ``Instances``, with tight boxes.

    Args:
        masks: (K, H, W) bool, or ``LabelMapMasks``, at the size that the image's dict asks for.
        scores: (K,) float in [0, 1], the greater the more certain.
        classes: (K,) int64, the class of each from 0.
        step: (K,) int64, the order of discovery; None where that is the order they come in.
    """
    if step is None:
        step = torch.arange(len(scores), device=scores.device)
    boxes = masks.boxes() if isinstance(masks, LabelMapMasks) else masks_to_boxes(masks)
    return Instances(
        (masks.shape[1], masks.shape[2]),
        pred_masks=masks,
        pred_boxes=Boxes(boxes),
        scores=scores,
        pred_classes=classes,
        step=step,
    )


def output_size(dict_: dict[str, Any]) -> tuple[int, int]:
    """Height and width that an input dict asks for; its image's own where it names none."""
    height, width = dict_["image"].shape[1:]
    return int(dict_.get("height", height)), int(dict_.get("width", width))


def ignored_pixels(dict_: dict[str, Any], size: Sequence[int]) -> torch.Tensor | None:
    """Where an input dict does not know what its image shows: ``IGNORED``, (h, w) bool.

    Args:
        dict_: an input dict of training; one without the key knows everything.
        size: to resize it to (nearest).

    Returns:
        ``size`` bool; None where everything is known.
    """
    if IGNORED not in dict_:
        return None
    return resize_masks(dict_[IGNORED][None], (size[0], size[1]))[0]


def mask_tensor(instances: Instances, empty_size: tuple[int, int]) -> torch.Tensor:
    """``gt_masks`` (BitMasks) as a bool tensor (N, h, w); an image without objects may lack it."""
    if len(instances) == 0:
        return instances.gt_classes.new_zeros(0, *empty_size, dtype=torch.bool)
    return instances.gt_masks.tensor.bool()
