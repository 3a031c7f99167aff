"""Objects of images as files for other programs, by name in ``FILE_FORMATS``.

    png        label map, 8 or 16 bits as the number of objects takes, or as is asked for
    tif        label map as TIFF, 16 or 32 bits, or as is asked for; so in the next two
    ome        label map as OME-TIFF
    npy        label map as numpy's array
    cellpose   Cellpose's _seg.npy
    labelme    labelme's JSON
    yolo       YOLO's text for segmentation
    geojson    QuPath's GeoJSON
    imagej     ImageJ's and Fiji's ROI manager (.zip); needs roifile
    masks      a folder of an image of a mask an object

In label maps smaller objects lie over larger ones; all others keep overlaps.
"""

from recseg_d2.data.formats.base import FileFormat, ImageObjects, SavedObject
from recseg_d2.data.formats.label_files import BITS, label_formats
from recseg_d2.data.formats.outline_files import OUTLINE_FORMATS


def file_formats(bits: int | None = None) -> dict[str, FileFormat]:
    """The formats by name; ``bits`` of label maps as ``label_files.label_formats`` has them."""
    return {**label_formats(bits), **OUTLINE_FORMATS}


FILE_FORMATS = file_formats()

__all__ = ["BITS", "FILE_FORMATS", "FileFormat", "ImageObjects", "SavedObject", "file_formats"]
