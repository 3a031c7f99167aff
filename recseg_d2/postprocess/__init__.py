"""From what models emit to the instances of an image.

``sequence``: of the sequential models; ``semantic_classes``: classes for them from a semantic
segmentation; ``mask_voting``: of a proposal classifier.
"""

from recseg_d2.postprocess.sequence import (
    ImagePrediction,
    PostprocessOptions,
    instances_to_label_map,
    postprocess,
)

__all__ = ["ImagePrediction", "PostprocessOptions", "instances_to_label_map", "postprocess"]
