"""DenseAttentionSeg: the dense attention model as a Detectron2 meta-architecture.

It takes from Ren & Zemel 2017 that objects are found one at a time, each in a window at high
resolution and with a canvas of what was found before; where to look is a dense map instead of a
recurrent controller, and no gradient passes from one object to the next.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from detectron2.config import CfgNode, configurable
from detectron2.layers import ShapeSpec
from detectron2.modeling import META_ARCH_REGISTRY, Backbone, build_backbone
from detectron2.structures import Instances
from torch import nn

from recseg_d2.config import add_node, read_options
from recseg_d2.errors import UserError
from recseg_d2.layers.images import resize_labels
from recseg_d2.layers.residual_encoder import ResidualEncoder
from recseg_d2.meta_arch.base import (
    MetaArchitecture,
    ignored_pixels,
    make_instances,
    output_size,
)
from recseg_d2.models.dense_attention.batch import target_batch
from recseg_d2.models.dense_attention.clicks import object_at
from recseg_d2.models.dense_attention.drawing import FoundObjects
from recseg_d2.models.dense_attention.model import DIRECTIONS, DenseAttention
from recseg_d2.models.dense_attention.options import DenseAttentionOptions
from recseg_d2.models.dense_attention.search import Search
from recseg_d2.models.dense_attention.targets import UNKNOWN, flatten_masks, object_targets
from recseg_d2.models.dense_attention.tiling import search_tiles
from recseg_d2.models.dense_attention.training import training_step
from recseg_d2.models.dense_attention.trunk import BackboneEncoder
from recseg_d2.structures import LabelMapMasks

_STEM_WIDTH = 24  # channels at stride 2, beside a backbone that is not the residual encoder
_STORED_RANGE = 255.0  # of 8-bit values, where INPUT.INTENSITY leaves them as they are


add_node("MODEL.DENSE_ATTENTION", DenseAttentionOptions)


@META_ARCH_REGISTRY.register()
class DenseAttentionSeg(MetaArchitecture):
    """Look where an object is left, segment it in a window, draw it on the canvas, go on.

    Inputs and outputs are Detectron2's; images have any size and any number of channels. What is
    found are "instances" with ``pred_masks`` (``LabelMapMasks``: no two overlap), ``pred_boxes``,
    ``scores``, ``pred_classes`` and ``step``, the order of discovery.

    Args:
        backbone: the residual encoder, for images with their logarithmic copy, or any backbone of
            the registry with maps at strides 2 or 4, 8, 16, ...
        options: MODEL.DENSE_ATTENTION: the networks, the losses, the sampling and the search.
        shared: arguments of ``MetaArchitecture``, passed on.

    Raises:
        UserError: the backbone has maps at other strides.
    """

    ordered = True
    score_key = "MODEL.DENSE_ATTENTION.TEST.SCORE_THRESH"

    @configurable
    def __init__(
        self, *, backbone: Backbone, options: DenseAttentionOptions, **shared: Any
    ) -> None:
        super().__init__(**shared)
        self.options = options
        channels = self.in_channels * (2 if options.network.log_contrast else 1)
        encoder: nn.Module = backbone
        if isinstance(backbone, ResidualEncoder):
            encoder, widths = _ListOfMaps(backbone), backbone.widths
        else:
            try:
                encoder = BackboneEncoder(backbone, channels, self.in_channels, _STEM_WIDTH)
            except ValueError as error:
                raise UserError(f"MODEL.BACKBONE.NAME {error}") from error
            widths = encoder.widths
        self.network = DenseAttention(encoder, widths, options.network, channels, self.num_classes)
        # after a forward pass in training, the mean IoU of each image's windows; NaN without any
        self.image_iou = torch.zeros(0)

    @classmethod
    def from_config(cls, cfg: CfgNode) -> dict[str, Any]:
        """Constructor arguments from MODEL.DENSE_ATTENTION and MODEL.BACKBONE."""
        options = read_options(cfg, DenseAttentionOptions)
        channels = len(cfg.MODEL.PIXEL_MEAN)
        if cfg.MODEL.BACKBONE.NAME == "build_residual_encoder_backbone":
            channels *= 2 if options.network.log_contrast else 1
        return {
            **cls.shared_arguments(cfg),
            "backbone": build_backbone(cfg, ShapeSpec(channels=channels)),
            "options": options,
        }

    def losses(self, batched_inputs: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        """Loss terms of a batch with ground truth, whose images have one size.

        Canvases and windows are drawn from torch's generator in training, and always the same
        otherwise, so that validation losses can be compared.
        """
        seed = int(torch.randint(2**62, ())) if self.training else 0
        targets = [self._targets(x) for x in batched_inputs]
        images = self._stack([self.model_image(x) for x in batched_inputs])
        with self.in_precision():
            step = training_step(
                self.network,
                images,
                target_batch(targets, DIRECTIONS, self.device, images.shape[2:]),
                self.options.loss_weights,
                self.options.sampling,
                np.random.default_rng(seed),
            )
        self.image_iou = step.iou
        return step.terms

    def inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Instances]]:
        """Predictions for a batch, each at the size that its dict asks for."""
        return [{"instances": self._instances(self.search(x), x)} for x in batched_inputs]

    def traced_inference(self, batched_inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same, with what figures show of how it came about.

        Returns:
            for each image "instances" and "trace", a ``SearchResult`` with the heat maps; None for
            an image that was searched in tiles.
        """
        return [self._traced(x) for x in batched_inputs]

    def _traced(self, dict_: dict[str, Any]) -> dict[str, Any]:
        image = self.model_image(dict_)
        if self._needs_tiles(image):
            return {"instances": self._instances(self.search(dict_), dict_), "trace": None}
        with self.in_precision():
            result = Search(self.network, image, self.options.test, keep_heat=True).run()
        found = result.drawing.found(self.options.test.min_area)
        return {"instances": self._instances(found, dict_), "trace": result}

    def _needs_tiles(self, image: torch.Tensor) -> bool:
        return max(image.shape[1:]) > self.options.tiling.side

    def search(self, dict_: dict[str, Any]) -> FoundObjects:
        """What is found in one image, at the resolution that the model works at."""
        image, tiling = self.model_image(dict_), self.options.tiling
        with self.in_precision():
            if self._needs_tiles(image):
                return search_tiles(
                    self.network, image, self.options.test, tiling.side, tiling.overlap
                )
            return (
                Search(self.network, image, self.options.test)
                .run()
                .drawing.found(self.options.test.min_area)
            )

    @torch.no_grad()
    def object_at(
        self, dict_: dict[str, Any], place: tuple[float, float], labels: np.ndarray | None = None
    ) -> Instances:
        """The object at a place that somebody points at, in the window that the model puts there.

        Args:
            dict_: input dict of one image.
            place: x and y in pixels of the size (h, w) that the dict asks for.
            labels: (h, w) integer label map of what is known already, the canvas; None is empty.

        Returns:
            What ``inference`` returns, with one object, or none where its mask is empty. The mask
            may cover known objects, and the score may be below that of the search.
        """
        image, asked = self.model_image(dict_), output_size(dict_)
        size = (image.shape[1], image.shape[2])
        ratio = [own / other for own, other in zip(size, asked, strict=True)]
        known = np.zeros(asked, np.int32) if labels is None else labels.astype(np.int32)
        with self.in_precision():
            found = object_at(
                self.network,
                image,
                (place[0] * ratio[1], place[1] * ratio[0]),
                torch.from_numpy(resize_labels(known, size)),
                self.options.test,
                self.options.tiling.side,
            )
        return self._instances(found, dict_)

    def model_image(self, dict_: dict[str, Any]) -> torch.Tensor:
        """The image of an input dict as the networks see it: normalised, then its copy."""
        return self.seen(self.unit_image(dict_))

    def seen(self, image: torch.Tensor) -> torch.Tensor:
        """The same of a ``unit_image``."""
        normalised, contrast = self.normalised(image), self.options.network.log_contrast
        if not contrast:
            return normalised
        unit = image / _STORED_RANGE if self.intensity.kind == "stored" else image
        copy = torch.log1p(contrast * unit.clamp(min=0)) / np.log1p(contrast)
        return torch.cat([normalised, copy])

    def _stack(self, images: list[torch.Tensor]) -> torch.Tensor:
        """Images of one batch, padded at the right and below to one size that the trunk takes."""
        height, width = (max(image.shape[k] for image in images) for k in (1, 2))
        stride = self.network.stride
        height, width = height + -height % stride, width + -width % stride
        padded = [
            nn.functional.pad(
                image[None], (0, width - image.shape[2], 0, height - image.shape[1]), "replicate"
            )
            for image in images
        ]
        return torch.cat(padded)

    def _targets(self, dict_: dict[str, Any]) -> Any:
        masks = self.true_masks(dict_).cpu().numpy()
        classes = dict_["instances"].gt_classes.cpu().numpy()
        labels = flatten_masks(masks)
        ignored = ignored_pixels(dict_, labels.shape)
        if ignored is not None:
            labels[ignored.cpu().numpy()] = UNKNOWN
        return object_targets(labels, classes, self.options.sampling.min_area)

    def _instances(self, found: FoundObjects, dict_: dict[str, Any]) -> Instances:
        """What was found, at the size that the dict asks for, without what vanishes there."""
        labels = torch.from_numpy(resize_labels(found.labels.numpy(), output_size(dict_)))
        masks = LabelMapMasks(labels, torch.arange(1, len(found.scores) + 1))
        kept = torch.nonzero(masks.areas() > 0)[:, 0]
        scores, classes = found.scores, torch.zeros(len(found.scores), dtype=torch.int64)
        if found.classes is not None:
            classes = found.classes.argmax(1)
        return make_instances(
            masks[kept].to(self.device),
            scores[kept].to(self.device),
            classes[kept].to(self.device),
        )


class _ListOfMaps(nn.Module):
    """The maps of a backbone as a list, finest first."""

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return list(self.backbone(image).values())
