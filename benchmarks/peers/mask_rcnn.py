"""Mask R-CNN of torchvision, slim: ResNet-18, narrow pyramid and heads, small anchors."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.peers.peer import (
    CpuClock,
    Found,
    Job,
    Peer,
    Settings,
    main,
    predict_with,
    read_pairs,
    sweep,
    warm_then_cosine,
)

if TYPE_CHECKING:
    from torch import Tensor
    from torchvision.models.detection import MaskRCNN

PEER = Peer(
    title="Mask R-CNN R18-FPN (slim)",
    environment="torch",
    commands=("python train_mask_rcnn.py  # your own: torchvision has the model, not the loop",),
    thresholds={
        "score": (0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95),
        "nms": (0.3, 0.5, 0.7),
    },
    ranking={"score": 0.02},
)
WIDTH = 128  # channels of the pyramid
HIDDEN, MASK_WIDTH = 256, 64  # of the box head and of the mask head
REGIONS = 64  # an image in training, half of them on objects
# Two sizes in pixels a level (strides 4 to 64); COCO's are 32 to 512 on images of 800 pixels.
ANCHORS = ((8, 12), (16, 24), (32, 48), (64, 96), (128, 192))
ASPECTS = (0.5, 1.0, 2.0)
MIN_SIZE, MAX_SIZE = 128, 4096  # pixels; the shorter side of smaller images is enlarged to that
CROP = 256  # pixels a side, in training
BATCH = 4
LEARNING_RATE, WEIGHT_DECAY, CLIP = 1e-3, 0.01, 5.0
ENLARGED = (0.7, 1.4)  # scales, by nearest neighbour for labels
MAX_OBJECTS = 500
MODEL = "mask_rcnn.pt"


def train(job: Job) -> dict[str, Any]:
    """AdamW with a warm-up and a cosine that ends with the time."""
    import torch

    torch.set_num_threads(job.threads)
    torch.manual_seed(job.seed)
    rng = np.random.default_rng(job.seed)
    pairs = read_pairs(job.train)
    short = min(CROP, min(min(labels.shape) for _, labels in pairs))
    model = build(max(MIN_SIZE, short)).train()
    optimizer = torch.optim.AdamW(model.parameters(), LEARNING_RATE, weight_decay=WEIGHT_DECAY)
    clock, steps = CpuClock(job.minutes), 0
    while (progress := clock.progress) < 1:
        for group in optimizer.param_groups:
            group["lr"] = LEARNING_RATE * warm_then_cosine(progress)
        samples = [draw_sample(rng, *pairs[rng.integers(len(pairs))]) for _ in range(BATCH)]
        losses = model([image for image, _ in samples], [target for _, target in samples])
        optimizer.zero_grad()
        sum(losses.values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), CLIP)
        optimizer.step()
        steps += 1
    record = clock.record()
    torch.save({"model": model.state_dict(), "min_size": model.transform.min_size[0]},
               job.work / MODEL)  # fmt: skip
    return {**record, "steps": steps, "batch": BATCH}


def build(min_size: int) -> MaskRCNN:
    """The network with random weights.

    Args:
        min_size: smaller images are enlarged until their shorter side is as long, in pixels.
    """
    from torchvision.models import resnet18
    from torchvision.models.detection import MaskRCNN
    from torchvision.models.detection.anchor_utils import AnchorGenerator
    from torchvision.models.detection.backbone_utils import BackboneWithFPN
    from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
    from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor

    stages = {f"layer{k}": str(k - 1) for k in range(1, 5)}
    backbone = BackboneWithFPN(resnet18(weights=None), stages, [64, 128, 256, 512], WIDTH)
    return MaskRCNN(
        backbone,
        num_classes=None,
        min_size=min_size,
        max_size=MAX_SIZE,
        rpn_anchor_generator=AnchorGenerator(ANCHORS, (ASPECTS,) * len(ANCHORS)),
        rpn_pre_nms_top_n_train=1000,
        rpn_post_nms_top_n_train=500,
        rpn_pre_nms_top_n_test=1000,
        rpn_post_nms_top_n_test=MAX_OBJECTS,
        box_head=TwoMLPHead(WIDTH * 7**2, HIDDEN),
        box_predictor=FastRCNNPredictor(HIDDEN, 2),
        box_batch_size_per_image=REGIONS,
        box_positive_fraction=0.5,
        box_detections_per_img=MAX_OBJECTS,
        mask_head=MaskRCNNHeads(WIDTH, (MASK_WIDTH,) * 4, 1),
        mask_predictor=MaskRCNNPredictor(MASK_WIDTH, MASK_WIDTH, 2),
    )


def draw_sample(
    rng: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> tuple[Tensor, dict[str, Tensor]]:
    """A random crop with flips, quarter turns, another scale, brightness and contrast.

    Args:
        rng: where the draw comes from.
        image: (H, W, 3) uint8.
        labels: (H, W) integers.

    Returns:
        The image (3, h, w) in 0..1 and torchvision's target; it may have no object.
    """
    import torch

    image, labels = _crop(rng, *_rescale(rng, image, labels))
    turns, flip = int(rng.integers(4)), bool(rng.integers(2))
    image, labels = (np.rot90(array, turns) for array in (image, labels))
    if flip:
        image, labels = image[:, ::-1], labels[:, ::-1]
    pixels = image.astype(np.float32) / 255
    pixels = (pixels - pixels.mean()) * rng.uniform(0.8, 1.2) + pixels.mean()
    pixels = np.clip(pixels + rng.uniform(-0.1, 0.1), 0, 1)
    tensor = torch.from_numpy(np.ascontiguousarray(pixels.transpose(2, 0, 1)))
    return tensor, to_target(labels)


def to_target(labels: np.ndarray) -> dict[str, Tensor]:
    """The target of a label map (H, W) as torchvision has it: boxes x0 y0 x1 y1, masks, class 1."""
    import torch

    masks = labels == np.unique(labels[labels > 0])[:, None, None]
    boxes = []
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        boxes.append([columns[0], rows[0], columns[-1] + 1, rows[-1] + 1])
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(len(boxes), dtype=torch.int64),
        "masks": torch.from_numpy(masks.astype(np.uint8)),
    }


def _rescale(
    rng: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    from PIL import Image

    factor = rng.uniform(*ENLARGED)
    height, width = labels.shape
    size = (round(width * factor), round(height * factor))
    larger = Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)
    nearest = Image.fromarray(labels).resize(size, Image.Resampling.NEAREST)
    return np.asarray(larger), np.asarray(nearest)


def _crop(
    rng: np.random.Generator, image: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    top, left = (int(rng.integers(0, max(0, n - CROP) + 1)) for n in labels.shape)
    window = slice(top, top + CROP), slice(left, left + CROP)
    return image[window], labels[window]


class MaskRCNNFinder:
    """The model after its last step.

    Args:
        weights: checkpoint.
        threads: of the CPU.
    """

    def __init__(self, weights: Path, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        saved = torch.load(weights, weights_only=True)
        self.model = build(saved["min_size"]).eval()
        self.model.load_state_dict(saved["model"])
        self.parameters = sum(p.numel() for p in self.model.parameters())

    def find(self, image: np.ndarray, settings: Sequence[Settings]) -> list[Found]:
        """See ``peer.Finder``."""
        return sweep(partial(self._detect, image), settings)

    def _detect(self, image: np.ndarray, score: float, nms: float) -> tuple[np.ndarray, np.ndarray]:
        import torch

        self.model.roi_heads.score_thresh, self.model.roi_heads.nms_thresh = score, nms
        pixels = torch.from_numpy(image.astype(np.float32).transpose(2, 0, 1) / 255)
        with torch.inference_mode():
            found = self.model([pixels])[0]
        return found["masks"][:, 0].numpy() > 0.5, found["scores"].numpy()


def load(work: Path, threads: int) -> MaskRCNNFinder:
    """The model that ``train`` left."""
    return MaskRCNNFinder(work / MODEL, threads)


if __name__ == "__main__":
    main(train, predict_with(load))
