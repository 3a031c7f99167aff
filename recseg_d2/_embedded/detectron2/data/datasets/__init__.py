"""Loaders of data sets in known formats."""

from .coco import convert_to_coco_json, load_coco_json, register_coco_instances

__all__ = ["convert_to_coco_json", "load_coco_json", "register_coco_instances"]
