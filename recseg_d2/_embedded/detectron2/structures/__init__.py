"""Boxes, masks, images and instances."""

from .boxes import Boxes, BoxMode, pairwise_intersection, pairwise_iou
from .image_list import ImageList
from .instances import Instances
from .masks import BitMasks, PolygonMasks, polygon_area, polygons_to_bitmask

__all__ = [
    "BitMasks",
    "BoxMode",
    "Boxes",
    "ImageList",
    "Instances",
    "PolygonMasks",
    "pairwise_intersection",
    "pairwise_iou",
    "polygon_area",
    "polygons_to_bitmask",
]
