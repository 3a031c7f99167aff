"""Batches that models are measured on: noise with objects, and where their sequences end.

Random weights would end sequences anywhere. So every step runs, with as many objects in each image
as training needs for that; or images have different numbers of objects, and scores are dictated
that end each image where those of a trained model would: one step after its last object.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from detectron2.config import CfgNode
from detectron2.structures import BitMasks, Instances

from recseg_d2.meta_arch.sequential import SequentialModel

SCORE_HEADS = {  # architecture -> what gives the logits of its steps' scores
    "ConvLSTMSemInstSeg": "decoder.stop_head",
    "RecurrentAttentionSeg": "network.score_head",
}
CERTAIN = 10.0  # a logit


def random_batch(
    cfg: CfgNode, batch_size: int, objects: tuple[int, int] | None = None
) -> list[dict[str, Any]]:
    """Noise with one object fewer than the model has steps, so that training runs them all.

    Images have the model's working resolution, or the size of the crops that it is trained on;
    objects are rectangles anywhere in it.

    Args:
        cfg: a config of a model.
        batch_size: number of images.
        objects: the fewest and the most objects of an image, drawn anew for each; None is as many
            in all as there are steps for.
    """
    size = batch_image_size(cfg)
    most = max(1, cfg.MODEL.SEQUENTIAL.STEPS - 1)
    generator = torch.Generator().manual_seed(0)
    counts = [most] * batch_size
    if objects:
        low, high = objects
        counts = torch.randint(low, high + 1, (batch_size,), generator=generator).tolist()
    return [_random_image(size, count, generator) for count in counts]


def _random_image(size: tuple[int, int], count: int, generator: torch.Generator) -> dict[str, Any]:
    height, width = size
    image = torch.randint(0, 256, (3, height, width), generator=generator, dtype=torch.uint8)
    corner = torch.rand(count, 2, generator=generator) * 0.75
    y = torch.arange(height) / height
    x = torch.arange(width) / width
    inside_y = (y >= corner[:, :1]) & (y < corner[:, :1] + 0.25)
    inside_x = (x >= corner[:, 1:]) & (x < corner[:, 1:] + 0.25)
    masks = inside_y[:, :, None] & inside_x[:, None, :]
    instances = Instances((height, width), gt_masks=BitMasks(masks))
    instances.gt_classes = torch.zeros(count, dtype=torch.int64)
    return {"image": image, "instances": instances, "height": height, "width": width}


def batch_image_size(cfg: CfgNode) -> tuple[int, int]:
    """Height and width of the images of batches."""
    if "similarity_crop" in cfg.INPUT.AUGS:
        return cfg.INPUT.SIMILARITY_CROP.SIZE, cfg.INPUT.SIMILARITY_CROP.SIZE
    height, width = cfg.MODEL.SEQUENTIAL.IMAGE_SIZE
    return height, width


class DictatedScores(torch.nn.Module):
    """A score head that runs, and whose scores then say that each image has its objects.

    Args:
        head: the model's own.
        counts: (B,) int64, objects of each image of the batch that the model will be given.
    """

    def __init__(self, head: torch.nn.Module, counts: torch.Tensor) -> None:
        super().__init__()
        self.head = head
        self.counts = counts
        self.step = 0

    def begin(self, *_: Any) -> None:
        """A new sequence."""
        self.step = 0

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """(b, F) of the next step, or (B, T, F) of all, to logits (b, 1) or (B, T, 1).

        A model that leaves out images which have ended has fewer of them, in their order.
        """
        logits = self.head(features)
        if features.dim() == 3:
            steps = torch.arange(features.shape[1], device=features.device)
            goes_on = steps < self.counts[:, None]
        else:
            left_out = len(features) < len(self.counts)
            counts = self.counts[self.counts >= self.step] if left_out else self.counts
            goes_on = self.step < counts
            self.step += 1
        return torch.where(goes_on[..., None], CERTAIN, -CERTAIN).to(logits)


def dictate_scores(model: torch.nn.Module, batch: list[dict[str, Any]]) -> None:
    """Let a model end each image of a batch one step after its last object, at 0.5.

    Args:
        model: changed in place where it is a ``SequentialModel``; others have no such end.
        batch: what it will be given.
    """
    if not isinstance(model, SequentialModel):
        return
    head = SCORE_HEADS[type(model).__name__]
    counts = torch.tensor([len(x["instances"]) for x in batch], device=model.device)
    dictated = DictatedScores(model.get_submodule(head), counts)
    owner, _, name = head.rpartition(".")
    setattr(model.get_submodule(owner), name, dictated)
    model.register_forward_pre_hook(dictated.begin)
    model.test_options = replace(model.test_options, score_thresh=0.5)
