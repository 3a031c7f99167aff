"""From what models emit to the instances of an image.

``sequence``: of the sequential models; ``semantic_classes``: classes for them from a semantic
segmentation; ``mask_voting``: of a proposal classifier; ``instances``: what reads them all;
``stacks``: objects that go through the slices of a stack; ``ensembles``: those of several models or
views of an image.
"""

from recseg_d2.postprocess.instances import keep_whole, label_map_of, masks_of
from recseg_d2.postprocess.sequence import ImagePrediction, PostprocessOptions, postprocess

__all__ = [
    "ImagePrediction",
    "PostprocessOptions",
    "keep_whole",
    "label_map_of",
    "masks_of",
    "postprocess",
]
