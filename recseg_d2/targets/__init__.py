"""What losses compare with, from the masks of a batch. May use: torch and the package's maths.

``objects``: boxes and padded targets, for everything; ``pixels``: the pre-processor's classes;
``proposals``: labels and samples of a proposal classifier.
"""

from recseg_d2.targets.objects import build_targets, masks_to_boxes, resize_masks

__all__ = ["build_targets", "masks_to_boxes", "resize_masks"]
