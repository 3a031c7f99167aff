"""The subset of Detectron2's public interface that recseg_d2 stands on where it is not installed.

Written anew from Detectron2's documented names, signatures, file formats and state-dict names. What
is not here (detectors, rotated boxes, key points, LazyConfig ...) needs the real Detectron2.
"""

__version__ = "0.6+embedded"
