"""The forms that a user's own data may have, each a small class that recognises its files."""

from recseg_d2.data.sources.forms.base import Form, Reading
from recseg_d2.data.sources.forms.beside import ImageJFolder, QuPathFolder
from recseg_d2.data.sources.forms.class_maps import ClassMapFolder
from recseg_d2.data.sources.forms.coco import CocoFile
from recseg_d2.data.sources.forms.label_maps import LabelMapFolder
from recseg_d2.data.sources.forms.labelme import LabelmeFolder
from recseg_d2.data.sources.forms.object_masks import ObjectMaskFolder
from recseg_d2.data.sources.forms.official import (
    CityscapesFolder,
    Cvppp2017Files,
    Kitti2015Folder,
    KittiCarsFolder,
)
from recseg_d2.data.sources.forms.voc import VocFolder
from recseg_d2.data.sources.forms.yolo import YoloFolder

# The first that recognises a folder or file opens it.
FORMS: tuple[Form, ...] = (
    KittiCarsFolder(),
    VocFolder(),
    CityscapesFolder(),
    Kitti2015Folder(),
    Cvppp2017Files(),
    YoloFolder(),
    ObjectMaskFolder(),
    ClassMapFolder(),
    LabelMapFolder(),
    CocoFile(),
    LabelmeFolder(),
    QuPathFolder(),
    ImageJFolder(),
)

__all__ = ["FORMS", "Form", "Reading"]
