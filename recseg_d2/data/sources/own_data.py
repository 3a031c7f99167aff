"""A user's own data, in whichever of the usual forms it is; see ``forms``."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from recseg_d2.data.sources.base import DataSource
from recseg_d2.data.sources.forms import FORMS, Form, Reading
from recseg_d2.data.sources.forms.label_maps import LabelMapFolder
from recseg_d2.errors import UserError

logger = logging.getLogger(__name__)

AS_USUAL = Reading()
_SHOWN = 5  # names of what is in a folder, in a message


def open_own_data(
    name: str, place: str | Path, reading: Reading = AS_USUAL, **selection: Any
) -> DataSource:
    """Open data in one of the forms, and say in the log which.

    Label maps and masks are evaluated as "label_map", Pascal VOC's form as "voc_segm", outlines as
    "coco". The classes are those that the files name, in the order of their numbers; classes of one
    name are one.

    Args:
        name: for the catalogs.
        place: the folder or file.
        reading: how files are read, where there is a choice.
        selection: ``min_objects``, ``max_objects`` and others of ``DataSource``.

    Raises:
        UserError: there is nothing, or something of another form; a ``.json`` file cannot be read,
            or none of its images is found. Images are read when the data set is first used.
    """
    place = Path(place)
    form = form_of(place)
    if form is not None:
        logger.info("%s: taken as %s.", place, form.words)
        return form.open(name, place, reading, **selection)
    if place.is_dir() and reading.label_suffix is not None:
        return LabelMapFolder().open(name, place, reading, **selection)
    raise UserError(f"{place}: expected {words_for_forms()}; found {_found(place)}.")


def form_of(place: Path) -> Form | None:
    """The form of a folder or file, or None."""
    return next((form for form in FORMS if form.recognises(place)), None)


def words_for_forms() -> str:
    """All forms, as a help text or a message lists them."""
    in_order = sorted(FORMS, key=lambda form: not isinstance(form, LabelMapFolder))
    *most, last = (form.words for form in in_order)
    return f"{', '.join(most)}, or {last}"


def _found(place: Path) -> str:
    if place.is_dir():
        names = sorted(p.name + "/" * p.is_dir() for p in place.iterdir() if p.name[0] != ".")
        more = ", ..." if len(names) > _SHOWN else ""
        return f"a folder with {', '.join(names[:_SHOWN]) or 'nothing'}{more}"
    return f"a {place.suffix or 'nameless'} file" if place.is_file() else "nothing there"
