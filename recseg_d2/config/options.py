"""Options of no single model: of all models, of the data, of training and of evaluation."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from recseg_d2.errors import require
from recseg_d2.layers.intensity import IntensityOptions
from recseg_d2.losses.targets import Order
from recseg_d2.postprocess.sequence import PostprocessOptions


@dataclass(frozen=True)
class ModelOptions:
    """What every model reads."""

    num_classes: int = 1  # classes that the data sets have, for class-agnostic models too
    # What convolutions and matrix products run in; losses and masks are float32 in any case.
    # bfloat16 is faster where the processor has it; float16, with its losses scaled, on GPUs.
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    # Several processes: batch norms have the statistics of the whole batch, not each its own.
    sync_batch_norms: bool = False
    # Training stops before it begins where MODEL.WEIGHTS is named and gives a smaller share of the
    # encoder's parameters a value; of a model without an encoder, where a smaller share of the
    # file's parameters has a place. 0 starts from whatever fits.
    weights_min_fraction: float = 0.9

    def __post_init__(self) -> None:
        require(0 <= self.weights_min_fraction <= 1, self, "weights_min_fraction", "0 to 1")
        require(self.num_classes >= 1, self, "num_classes", "1 or more")


@dataclass(frozen=True)
class SequentialOptions:
    """What the models share that find objects one at a time, at a fixed resolution."""

    image_size: tuple[int, int] = (256, 256)  # height and width that images are resized to
    steps: int = 10  # most objects that the model can find in an image
    recompute_steps: bool = False  # in training: less memory for a second forward pass
    # In evaluation and prediction, steps are compiled by torch.compile: faster after the first
    # batch, which takes a minute or two more; docs/performance.md has numbers.
    compile_steps: bool = False
    # In evaluation and prediction on CUDA, all steps are one CUDA graph, which is recorded with the
    # first batch of a size: several times as fast for small models and batches. Elsewhere nothing
    # changes. Sequences are not ended early then.
    cuda_graphs: bool = False
    # Most objects of an image that training and validation keep, the largest: fewer than steps let
    # each sequence end with a step to stop, more compete for the steps. 0: as many as steps.
    max_objects: int = 0
    # In training, step t answers for the object that its mask overlaps with best, together with the
    # others (any), or for the t-th object of a fixed order of their centres or areas.
    order: Order = "any"
    test: PostprocessOptions = field(default_factory=PostprocessOptions)

    def __post_init__(self) -> None:
        require(min(self.image_size) >= 1, self, "image_size", "(height, width) in pixels")
        require(self.steps >= 1, self, "steps", "1 or more")
        require(self.max_objects >= 0, self, "max_objects", "0 (as many as steps) or more")
        one = not (self.compile_steps and self.cuda_graphs)
        require(one, self, "cuda_graphs", "False where COMPILE_STEPS is True")

    @property
    def kept_objects(self) -> int:
        """Most objects of an image that are kept."""
        return self.max_objects or self.steps


@dataclass(frozen=True)
class AffineOptions:
    """The augmentation "affine": ranges of uniform distributions."""

    rotation: float = 10.0  # degrees, either way
    translation: float = 0.1  # share of the image's side, either way
    shear: float = 0.1  # degrees, either way
    zoom: tuple[float, float] = (1.0, 1.43)  # magnification, drawn for each axis

    def __post_init__(self) -> None:
        fits = 0 < self.zoom[0] <= self.zoom[1]
        require(fits, self, "zoom", "(smallest, largest) magnification, above 0")


@dataclass(frozen=True)
class SimilarityCropOptions:
    """The augmentation "similarity_crop": mirrored, turned and magnified crops of one size."""

    size: int = 128  # pixels a side
    log_scale: float = 0.4  # largest logarithm of the magnification, either way
    rotation: float = 14.0  # largest turn beyond quarter turns, in degrees, in half of the crops
    upright: bool = False  # no quarter turns, for photographs, in which up is up

    def __post_init__(self) -> None:
        require(self.size >= 1, self, "size", "1 or more")


@dataclass(frozen=True)
class IntensityJitterOptions:
    """The augmentation "intensity_jitter", where INPUT.INTENSITY brings values to one range."""

    invert: float = 0.15  # probability that dark and bright change places
    strength: float = 1.0  # what the largest of all the following changes are multiplied with
    gamma: float = 0.5  # largest logarithm of the exponent, either way
    contrast: float = 0.3  # largest logarithm of the contrast, either way
    brightness: float = 0.15  # largest change, either way
    gain: float = 0.15  # largest logarithm of a channel's gain, either way
    noise: float = 0.06  # largest standard deviation of noise
    blur: float = 1.0  # largest standard deviation of a Gaussian blur, in pixels

    def __post_init__(self) -> None:
        require(0 <= self.invert <= 1, self, "invert", "0 to 1")
        require(self.strength >= 0, self, "strength", "0 or more")


@dataclass(frozen=True)
class FrameOptions:
    """Which image of a file to read, where files hold several, and which of its channels."""

    page: int = -1  # of a stack, from 0; -1: a file must hold a single image
    axes: str = ""  # names the axes of a TIFF's array, such as "ZCYX"; "": as the file says
    channels: tuple[int, ...] = ()  # to keep, from 0, in this order; (): all

    def __post_init__(self) -> None:
        require(self.page >= -1, self, "page", "0 or more, or -1")
        require(all(c >= 0 for c in self.channels), self, "channels", "numbers from 0")


@dataclass(frozen=True)
class InputOptions:
    """How images reach a model."""

    # working: at the size that sequential models work at; shortest_edge: with their proportions,
    # the shorter side as MIN_SIZE_TRAIN and MIN_SIZE_TEST say; scale: SCALE times their own size,
    # in training multiplied by one of RELATIVE_SIZES.
    resize: Literal["working", "shortest_edge", "scale"] = "working"
    scale: float = 1.0  # of "scale": what images are magnified by before a model sees them
    intensity: IntensityOptions = field(default_factory=IntensityOptions)
    # Augmentations of training, in their order.
    augs: tuple[
        Literal[
            "hflip", "vflip", "transpose", "affine", "color", "similarity_crop", "intensity_jitter"
        ],
        ...,
    ] = ("hflip",)
    affine: AffineOptions = field(default_factory=AffineOptions)
    similarity_crop: SimilarityCropOptions = field(default_factory=SimilarityCropOptions)
    intensity_jitter: IntensityJitterOptions = field(default_factory=IntensityJitterOptions)
    # Zeros that training puts around the resized image, in pixels, and cuts its size out of at
    # random (the public RIS code: 16); 0 is off.
    pad_crop: int = 0
    # Of "scale": sizes that training draws from, as shares of the image's own.
    relative_sizes: tuple[float, ...] = (1.0,)
    frames: FrameOptions = field(default_factory=FrameOptions)
    max_pixels: int = 178_956_970  # of an image; a small file can hold one that fills the memory
    cache_mb: int = 512  # memory of a loading process for images that were read, in MB

    def __post_init__(self) -> None:
        require(self.scale > 0, self, "scale", "above 0")
        require(self.pad_crop >= 0, self, "pad_crop", "0 or more pixels")
        fits = min(self.relative_sizes, default=0) > 0
        require(fits, self, "relative_sizes", "one or more, above 0")
        require(self.max_pixels > 0, self, "max_pixels", "above 0")


@dataclass(frozen=True)
class CurriculumOptions:
    """A number of objects to predict that rises in training (Salvador et al. 2017, section 3.3)."""

    start: int = 0  # objects to predict at first, raised one by one; 0 is off
    end: int = 0  # objects at which the number rises no further; 0 is all that an image can have
    every: int = 0  # iterations after which one more is asked for; 0 waits for a plateau
    patience: int = 3  # validations without improvement that make a plateau


@dataclass(frozen=True)
class PlateauOptions:
    """The metric that says which checkpoint is the best, and when training has come to its end.

    With a curriculum the comparison starts anew with each further object, and training ends after
    its last.
    """

    patience: int = 0  # validations without improvement that end the run, or phase; 0 is off
    metric: str = "val_loss/total_loss"  # any name in metrics.json; its best is model_best.pth
    higher_is_better: bool = False  # direction of the metric


@dataclass(frozen=True)
class SolverOptions:
    """Optimiser, averaging and phases."""

    # Fused, with the usual PyTorch defaults. MUON moves matrices by orthogonal steps (Jordan et al.
    # 2024) and everything else, and the backbone where BACKBONE_MULTIPLIER is not 1, by AdamW.
    optimizer: Literal["SGD", "ADAM", "ADAMW", "MUON"] = "ADAM"
    matrix_lr: float = 0.04  # learning rate of MUON's matrices; the schedule is that of BASE_LR
    backbone_multiplier: float = 1.0  # learning rate of the backbone, relative to the rest
    log_period: int = 20  # iterations between two lines of metrics.json and of the log
    # Parts that a process computes its share of the batch in, one after another: as much less
    # memory, the same gradients. Batch norms see a part at a time.
    accum_steps: int = 1
    # A loss that is not finite: stop, or skip the iteration. Its batch is stored in either case.
    nonfinite: Literal["stop", "skip"] = "stop"
    ema_decay: float = 0.0  # of the average of weights that is evaluated and kept; 0 is off
    flat_fraction: float = 0.0  # of WarmupFlatCosineLR: share of the run before the cosine starts
    # What all lengths of a config are multiplied with: iterations of every phase, steps and decays
    # of rates, warm-up, curriculum, scheduled sampling, periods of evaluation and checkpoints.
    length_scale: float = 1.0
    # Iterations after which images are drawn anew, those more often that the model does worse on;
    # 0 draws all alike. DenseAttentionSeg reports how well it does.
    hard_images_period: int = 0
    trainable: tuple[str, ...] = ()  # regular expressions of parameter names; empty trains all
    # Phases run one after another, each from the weights of the one before. A phase is a name and
    # config overrides: {NAME: masks, SOLVER: {MAX_ITER: 1000}, MODEL: {RSIS: {BOX_HEAD: False}}}.
    phases: tuple[dict[str, Any], ...] = ()
    # Keys that --resume may find changed, as SOLVER.BASE_LR; lengths, periods and what concerns
    # evaluation may change without being named.
    resume_changes: tuple[str, ...] = ()
    curriculum: CurriculumOptions = field(default_factory=CurriculumOptions)
    plateau: PlateauOptions = field(default_factory=PlateauOptions)

    def __post_init__(self) -> None:
        require(0 <= self.ema_decay < 1, self, "ema_decay", "0 or more, below 1")
        require(0 <= self.flat_fraction <= 1, self, "flat_fraction", "0 to 1")
        require(self.accum_steps >= 1, self, "accum_steps", "1 or more")
        require(self.length_scale > 0, self, "length_scale", "above 0")
        require(self.log_period >= 1, self, "log_period", "1 or more")
        require(self.hard_images_period >= 0, self, "hard_images_period", "0 (off) or more")


@dataclass(frozen=True)
class EvaluationOptions:
    """What an evaluation computes, draws and keeps."""

    val_loss: bool = True  # the training loss on the first data set of DATASETS.TEST
    # Images are looked at flipped, too, in evaluation and prediction, and what is found in at least
    # half of the views is kept: one more view for one flip, three for both.
    flips: tuple[Literal["horizontal", "vertical"], ...] = ()
    evaluator: str = ""  # a type of evaluator, as segment_proposal; empty: the data set's own
    # Average precision (COCO, VOC, Cityscapes) is of each mask once for every class, scored by each
    # one's probability, as in the public RSIS code; otherwise of its most probable class alone.
    all_classes: bool = False
    # Training images on which the least score of an object is chosen when training has ended, by
    # SBD - |DiC|; the run's config.yaml holds it then. 0 leaves it as the config has it.
    threshold_images: int = 0
    num_pictures: int = 4  # images of the first data set that are drawn at every evaluation
    picture_score_thresh: float = 0.0  # instances scored lower are left out of the pictures
    # Keep what was predicted in OUTPUT_DIR/inference, for recseg analyze; of an image at most the
    # DETECTIONS_PER_IMAGE best.
    save_predictions: bool = True

    def __post_init__(self) -> None:
        require(self.threshold_images >= 0, self, "threshold_images", "0 (off) or more")


@dataclass(frozen=True)
class LoggerOptions:
    """Where curves and pictures go beside metrics.json and OUTPUT_DIR/pictures."""

    tensorboard_pictures: bool = True  # the pictures of each evaluation, where it is installed
    # Project at Weights & Biases, where the run has the name of OUTPUT_DIR; empty is off.
    wandb_project: str = ""
