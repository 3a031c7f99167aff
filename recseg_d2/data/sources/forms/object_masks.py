"""A folder an image, with a mask an object."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.forms.base import Form, Reading
from recseg_d2.data.sources.object_masks import ObjectMasks, find_image_folders


class ObjectMaskFolder(Form):
    """A folder with a folder an image, in which are images/ and masks/."""

    words = "one with ID/images/ and ID/masks/ for each image (a mask an object, as DSB 2018)"

    def recognises(self, place: Path) -> bool:
        """Whether there is such a folder in it, or in the only folder in it."""
        return bool(find_image_folders(place))

    def open(self, name: str, place: Path, reading: Reading, **selection: Any) -> DataSource:
        """The data set of all images of the folder."""
        reading.refuse_label_options(place, self.words)
        return ObjectMasks(name, place, **selection)
