"""From what a data set is like to the config of a training that fits it.

Everything that is decided is a config key with a reason, which a user sees and can override.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from recseg_d2.config.options import IntensityJitterOptions, SimilarityCropOptions
from recseg_d2.data.facts import DataFacts

CONFIG = "dense_small.yaml"  # what is not decided here

_TYPICAL = 20.0  # diameter, in pixels, that objects are brought to where they are far from it
_TRAINED = (12.0, 32.0)  # medians of diameters that are left as they are
_SMALLEST = 6.0  # diameter that the small objects keep, the tenth part of all
_SCALES = (0.1, 4.0)
_CROPS = (96, 128, 192, 256)
_CROP_OF_OBJECT = 2.0  # side of a crop, as a multiple of the longer side of large objects
_PIXELS_A_STEP = 4 * 128 * 128  # of all crops of an iteration
# Key, value for images of several kinds (the default, named for weights whose config has another),
# value for images of one kind.
_CHANGES = (
    ("INPUT.INTENSITY_JITTER.INVERT", IntensityJitterOptions().invert, 0.0),
    ("INPUT.INTENSITY_JITTER.STRENGTH", IntensityJitterOptions().strength, 0.5),
    ("INPUT.SIMILARITY_CROP.LOG_SCALE", SimilarityCropOptions().log_scale, 0.25),
)
_KINDS_SEEN = 10  # images, from which on their kinds are known
_ONE_KIND = 0.2  # largest difference of backgrounds of one kind of images, as a share of the range
_FEW, _MANY = 30, 150  # images; trainings are short with few of them
_GOING_ON = {"SOLVER.BASE_LR": 0.0007, "SOLVER.MATRIX_LR": 0.013}  # from trained weights
_SHORT, _LONG = 1500, 3000  # iterations


@dataclass(frozen=True)
class Decision:
    """One config key of a plan.

    Attributes:
        key: the config key.
        value: the value that was decided on.
        reason: why, as a phrase for the user.
    """

    key: str
    value: Any
    reason: str

    def __str__(self) -> str:
        return f"{self.key} {self.value}: {self.reason}"


@dataclass(frozen=True)
class Plan:
    """What was seen in the data and decided on because of it."""

    summary: str
    decisions: tuple[Decision, ...]

    def options(self) -> list[Any]:
        """KEY VALUE pairs for ``load_config``."""
        return [part for d in self.decisions for part in (d.key, d.value)]

    def going_on(self) -> Plan:
        """The plan of a training from trained weights: shorter, and in smaller steps."""
        reason = "a third, from trained weights"
        longer = {d.key: d.value for d in self.decisions}["SOLVER.MAX_ITER"]
        changed = {"SOLVER.MAX_ITER": longer // 3, **_GOING_ON}
        kept = (d for d in self.decisions if d.key not in changed)
        own = (Decision(key, value, reason) for key, value in changed.items())
        return Plan(self.summary, (*kept, *own))

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"  {decision}" for decision in self.decisions)])


def plan_training(facts: DataFacts, classes: Sequence[str]) -> Plan:
    """Decide on a training of DenseAttentionSeg.

    Args:
        facts: what the images to train on are like.
        classes: names of the classes.
    """
    mean, scale = _channels(facts), _scale(facts)
    crop = _crop(facts, scale, float(np.percentile(facts.longest * scale, 90)))
    batch = max(2, round(_PIXELS_A_STEP / crop.value**2))
    decisions = [
        mean,
        Decision("MODEL.PIXEL_STD", [1.0] * len(mean.value), "values are those of the range"),
        _joint(facts),
        _scale_decision(facts, scale),
        crop,
        *_changes(facts),
        Decision("SOLVER.IMS_PER_BATCH", batch, f"crops of {crop.value} pixels an iteration"),
        Decision("SOLVER.MAX_ITER", _iterations(facts.images), f"for {facts.images} images"),
    ]
    if len(classes) > 1:
        names = ", ".join(classes[:5]) + (", ..." if len(classes) > 5 else "")
        decisions.append(Decision("MODEL.NUM_CLASSES", len(classes), names))
    return Plan(_summary(facts), tuple(decisions))


def _summary(facts: DataFacts) -> str:
    low, high = facts.sizes.min(0), facts.sizes.max(0)
    sizes = f"{low[1]}x{low[0]}" + ("" if (low == high).all() else f" to {high[1]}x{high[0]}")
    few, middle, many = np.percentile(facts.diameters, [10, 50, 90])
    return (
        f"{facts.images} images ({facts.looked_at} looked at) of {sizes} pixels, "
        f"{' and '.join(facts.types)}; {int(np.median(facts.counts))} objects an image "
        f"(at most {facts.counts.max()}), {middle:.0f} pixels in diameter (most {few:.0f} to "
        f"{many:.0f})."
    )


def _channels(facts: DataFacts) -> Decision:
    found = facts.channels
    if set(found) <= {1, 3}:
        count = 3
        reason = "grey images are taken as colours" if found[1] else "colours"
    else:
        count = max(found)
        reason = f"images have {' or '.join(map(str, sorted(found)))} channels"
    return Decision("MODEL.PIXEL_MEAN", [0.0] * count, reason)


def _joint(facts: DataFacts) -> Decision:
    many = max(facts.channels) > 3
    reason = "channels are different stains" if many else "one range for all channels keeps colours"
    return Decision("INPUT.INTENSITY.JOINT", not many, reason)


def _scale(facts: DataFacts) -> float:
    """What brings the median object to a size that the networks are made for, two digits."""
    middle, small = np.median(facts.diameters), np.percentile(facts.diameters, 10)
    if _TRAINED[0] <= middle <= _TRAINED[1]:
        return 1.0
    scale = np.clip(_TYPICAL / middle, *_SCALES)
    if scale < 1:
        scale = min(1.0, max(scale, _SMALLEST / small))
    return float(f"{scale:.2g}")


def _scale_decision(facts: DataFacts, scale: float) -> Decision:
    middle = np.median(facts.diameters)
    if scale == 1:
        return Decision("INPUT.SCALE", 1.0, f"objects of {middle:.0f} pixels are seen as they are")
    reason = f"objects of {middle:.0f} pixels are seen as {middle * scale:.0f}"
    return Decision("INPUT.SCALE", scale, reason)


def _crop(facts: DataFacts, scale: float, large: float) -> Decision:
    key, side = "INPUT.SIMILARITY_CROP.SIZE", float(facts.sizes.max()) * scale
    fits = [c for c in _CROPS if c >= _CROP_OF_OBJECT * large] or [_CROPS[-1]]
    crop = max(fits[0], 128)
    if side <= _CROPS[0]:
        return Decision(key, _CROPS[0], f"images are {side:.0f} pixels wide")
    return Decision(key, crop, f"large objects are {large:.0f} pixels long")


def _changes(facts: DataFacts) -> list[Decision]:
    """Images of one kind, as of one microscope, are changed less in training.

    RESULTS.md has what that gives on images of cells.
    """
    known = facts.backgrounds[np.isfinite(facts.backgrounds)]
    alike, reason = False, "too few images to know what others are like"
    if len(known) >= _KINDS_SEEN:
        low, high = np.percentile(known, [5, 95])
        alike = bool(high - low <= _ONE_KIND)
        kinds = "one kind" if alike else "several kinds"
        reason = f"{kinds} of images, with backgrounds at {low:.2f} to {high:.2f} of the range"
    return [Decision(key, one if alike else several, reason) for key, several, one in _CHANGES]


def _iterations(images: int) -> int:
    share = np.clip((images - _FEW) / (_MANY - _FEW), 0, 1)
    return int(round(_SHORT + share * (_LONG - _SHORT), -2))
