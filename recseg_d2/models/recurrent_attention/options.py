"""The options of the recurrent attention model, each with its default and what it means."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal

from recseg_d2.errors import require
from recseg_d2.layers.step_norm import Norm


@dataclass(frozen=True)
class BoxOptions:
    """The box network; sizes are those of tables 7 and 8."""

    enabled: bool = True  # False: the window is the whole image (table 4, "no box net")
    sees_image: bool = False  # see the image beside the pre-processor's maps, as the public code
    widths: tuple[int, ...] = (16, 16, 32, 32, 64, 64, 64, 64)  # channels of the convolutions
    pools: tuple[int, ...] = (2, 2, 1, 2, 1, 2, 1, 2)  # factor of the max-pooling after each
    hidden_width: int = 256  # of the glimpse LSTM, and of the layer that chooses where to look
    glimpses: int = 5  # times that a step looks at the features, 1 or more
    carry_state: bool = False  # keep the LSTM's state from object to object
    # Add y, x and radius channels to the image and to the last feature map, so that a glimpse says
    # where it looked (beyond the paper).
    coordinates: bool = False
    # A glimpse looks where features match a query made of the hidden state, beside where that state
    # points to (beyond the paper): for objects that may be anywhere.
    content: bool = False

    def __post_init__(self) -> None:
        require(len(self.widths) >= 1, self, "widths", "at least one")
        as_many = len(self.pools) == len(self.widths)
        require(as_many, self, "pools", f"one for each of {len(self.widths)} widths")
        require(self.glimpses >= 1, self, "glimpses", "1 or more")


@dataclass(frozen=True)
class PatchOptions:
    """The segmentation network; sizes are those of table 9."""

    size: tuple[int, int] = (48, 48)  # height and width of the patch that a window is read as
    widths: tuple[int, ...] = (16, 32, 32, 64, 64, 96)  # channels of the convolutions
    pools: tuple[int, ...] = (1, 2, 1, 2, 1, 2)  # factor of the max-pooling after each
    # Channels of the transposed convolutions, as many; one more layer makes the heat map.
    decoder_widths: tuple[int, ...] = (64, 64, 32, 32, 16, 16)
    # Whether each level of the encoder, the patch itself being the first, comes back on the way up.
    skips: tuple[bool, ...] = (True, True, True, True, True, True)
    positive: bool = True  # norm and ReLU after the last layer too, as in the public code

    def __post_init__(self) -> None:
        require(len(self.widths) >= 1, self, "widths", "at least one")
        for name in ("pools", "decoder_widths", "skips"):
            as_many = len(getattr(self, name)) == len(self.widths)
            require(as_many, self, name, f"one for each of {len(self.widths)} widths")
        factor = math.prod(self.pools)
        fits = not any(side % factor for side in self.size)
        require(fits, self, "size", f"multiples of {factor}, by which it is pooled")


@dataclass(frozen=True)
class WindowOptions:
    """How the box network's numbers become windows, boxes and masks."""

    # Of the Gaussian filters: predicted by the network, as the paper has it; box: the window's size
    # over the patch's, which is the public code's default; unit: one square pixel.
    variance: Literal["predicted", "box", "unit"] = "predicted"
    min_variance: float = 0.0  # in square pixels: filters of tiny boxes miss pixels; 0 is none
    # Gain of masks (eq. 19): predicted; fixed; or area, which is fixed times the window's area over
    # the patch's, so that a flat patch has the same level in windows of any size.
    gamma: Literal["predicted", "fixed", "area"] = "predicted"
    log_gamma: float = 2.0  # natural logarithm of the gain of fixed and area
    # Gain of boxes (eq. 25): shared with masks, as in the paper, or predicted for itself, as in the
    # public code, whatever it has for masks. One fixed gain does not fit boxes of all sizes.
    box_gamma: Literal["shared", "predicted"] = "shared"
    patch_gamma: bool = False  # predict a gain of what is read too, as the public code may
    beta: float = 5.0  # subtracted from the logits of masks and boxes (eq. 19 and 25)
    # Share of the image's sides that a log size of 0 stands for, and so about what an untrained
    # network looks at; 1 in eq. 9 and 10.
    unit_size: float = 1.0


@dataclass(frozen=True)
class BoxIoUOptions:
    """How boxes are compared, in matching and in the loss."""

    # gaussian: soft IoU of the Gaussian box with the target's map, whose gradient does not vanish
    # where boxes do not overlap (eq. 25); coordinates: IoU of the corners; wasserstein: a
    # similarity that leads to small objects from anywhere in the image (beyond the paper).
    measure: Literal["gaussian", "coordinates", "wasserstein"] = "gaussian"
    # True boxes, those that predictions are compared with and those that are fed as windows, grow
    # on each side by this share of their size (Pad of eq. 26) ...
    padding_ratio: float = 0.2
    # ... and by at least this many pixels; 0 keeps to proportions, as the paper. In the public code
    # 10 in the phase "box" and 20 in "full".
    min_padding: float = 0.0


@dataclass(frozen=True)
class FeedingOptions:
    """Ground truth fed back in training: scheduled sampling (eq. 36 and 37) and its noise."""

    # When masks are fed to the canvas (theta of eq. 36).
    masks: Literal["schedule", "always", "never"] = "schedule"
    # When boxes are fed to the window that is segmented: the public code's, which has a schedule
    # for them too; in the paper the segmentation network is pre-trained with true boxes.
    boxes: Literal["schedule", "always", "never"] = "schedule"
    base: float = 1.0  # probability of "schedule" before it begins to fall
    # S2, iterations in which the probability falls by a factor e; the public code halves it every n
    # iterations, which is n / ln 2.
    decay: float = 2885.0
    step_gain: float = 3.0  # K of eq. 37: later steps keep the ground truth longer
    mask_start: float = 10000.0  # S, iteration from which the probability for masks falls
    box_start: float = 10000.0  # S for boxes
    # The object whose mask is fed overlaps most with the predicted mask, as the paper says, or its
    # box with the predicted box, as in the public code. Boxes are always chosen by box.
    overlap: Literal["mask", "box"] = "mask"
    reuse: bool = True  # one object may be fed at several steps of a sequence
    # Most that the padding of a fed box differs from that of a target (BOX_IOU.PADDING_RATIO).
    box_padding_noise: float = 0.1
    box_shift: float = 0.05  # most that a fed box's centre is moved, as a share of its size
    mask_noise: float = 0.3  # each pixel of a fed mask is multiplied by 1 - U(0, mask_noise)


@dataclass(frozen=True)
class PreprocessorOptions:
    """The pre-processor, through whose maps the other networks see the image (table 6)."""

    enabled: bool = True  # False: they see the image itself (table 4, "no pre proc.")
    # Channels of the convolutions of each block, finest first; two or more convolutions a block.
    # For KITTI and Cityscapes the size columns of table 6 give conv1-1 64 channels and conv1-2 32,
    # while its kernels and the 64 channels of pool1 agree with the leaves' column: the two are
    # taken for swapped.
    widths: tuple[tuple[int, ...], ...] = (
        (32, 64),
        (64, 96),
        (96, 128),
        (128, 128, 128, 128, 128, 128, 128, 256),
        (256, 256, 256, 512),
    )
    # Of each block, the convolution whose output comes back on the way up, counted from 1; 0 is the
    # block's input and -1 nothing: conv3-1 into deconv8-2, conv4-7 into deconv7-2, conv5-3 into
    # deconv6-2.
    skips: tuple[int, ...] = (-1, -1, 1, 7, 3)
    head_sees_image: bool = True  # the last layer sees the image beside its features (deconv10-3)
    semantic: bool = False  # predict all classes and background, instead of one foreground channel
    angle: bool = True  # predict the angle towards the object's centroid, in 8 channels

    def __post_init__(self) -> None:
        blocks = min((len(block) for block in self.widths), default=0)
        require(
            blocks >= 2, self, "widths", "blocks of two or more convolutions, at least one block"
        )
        as_many = len(self.skips) == len(self.widths)
        require(as_many, self, "skips", f"one for each of {len(self.widths)} blocks")
        exist = all(-1 <= s <= len(b) for s, b in zip(self.skips, self.widths, strict=True))
        require(exist, self, "skips", "-1, 0 or the number of one of the block's convolutions")


@dataclass(frozen=True)
class SemanticFolderOptions:
    """Where a class source of "folder" finds the semantic segmentation of an image."""

    path: str = ""  # folder with PNGs of label ids, one an image
    label_ids: tuple[int, ...] = ()  # value of class 0, class 1, ... in the files
    image_suffix: str = ""  # what an image's name ends in beyond the common part: "_leftImg8bit"
    suffix: str = ""  # what a segmentation's name ends in beyond it: "_labelIds"


@dataclass(frozen=True)
class LossWeights:
    """Weights of the terms of the loss (eq. 21); a term of weight 0 is not computed."""

    mask: float = 1.0  # of 1 - soft IoU of matched masks
    box: float = 1.0  # lambda_b, of 1 - IoU of matched boxes
    score: float = 1.0  # lambda_s, of the monotonic score loss
    cls: float = 0.1  # of the cross entropy of matched classes
    foreground: float = 1.0  # of the pre-processor's cross entropy of foreground or classes
    angle: float = 1.0  # of the pre-processor's cross entropy of angles


@dataclass(frozen=True)
class RecurrentAttentionOptions:
    """RecurrentAttentionSeg (Ren & Zemel 2017)."""

    # Which networks exist and are trained: the preprocessor alone; box: the box network too, whose
    # boxes stand for masks; full: everything. A phase of training each, as a rule.
    stage: Literal["preprocessor", "box", "full"] = "full"
    # Train all steps, as the paper; False: one more than objects, with group norms those of each
    # image, with batch norms as many as any image of the batch needs.
    full_sequences: bool = True
    canvas: bool = True  # the external memory (eq. 1 and 2); False removes its channel
    canvas_gradient: bool = False  # let gradients pass through the canvas to earlier steps
    # Batch norm with statistics of each step, as in the public code, or shared by all steps; or
    # group norm.
    norm: Norm = "per_step"
    init_std: float = 0.01  # of truncated normal weights and biases; 0 keeps PyTorch's own
    # Where classes come from, if there are several: the model's head, or a semantic segmentation by
    # the pre-processor or in a folder.
    class_source: Literal["head", "preprocessor", "folder"] = "head"
    # Instances with a larger mean share of background in that segmentation are dropped (the public
    # code: 0.7).
    background_limit: float = 1.0
    # Instances keep only the pixels whose foreground the pre-processor gives more than this (the
    # public code on KITTI: 0.3); 0 keeps all.
    foreground_thresh: float = 0.0
    box: BoxOptions = field(default_factory=BoxOptions)
    patch: PatchOptions = field(default_factory=PatchOptions)
    window: WindowOptions = field(default_factory=WindowOptions)
    box_iou: BoxIoUOptions = field(default_factory=BoxIoUOptions)
    sampling: FeedingOptions = field(default_factory=FeedingOptions)
    preprocessor: PreprocessorOptions = field(default_factory=PreprocessorOptions)
    semantic_folder: SemanticFolderOptions = field(default_factory=SemanticFolderOptions)
    loss_weights: LossWeights = field(default_factory=LossWeights)

    def __post_init__(self) -> None:
        sources = {"preprocessor": self.preprocessor.enabled, "box": self.box.enabled}
        exists = sources.get(self.stage, True)
        require(exists, self, "stage", "one whose network is enabled")
        sees = self.preprocessor.enabled or self.foreground_thresh == 0
        require(sees, self, "foreground_thresh", "0, unless the pre-processor is enabled")
        semantic = self.preprocessor.enabled and self.preprocessor.semantic
        fits = self.class_source != "preprocessor" or semantic
        expected = "head or folder, unless the pre-processor is enabled and semantic"
        require(fits, self, "class_source", expected)
        matched = self.stage != "box" or self.loss_weights.box > 0
        require(matched, self.loss_weights, "box", "above 0 in the stage box")
