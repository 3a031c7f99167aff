"""Detectron2's catalogs of data sets: where built-in ones lie, which names there are."""

from __future__ import annotations

import os
from pathlib import Path

from detectron2.data import DatasetCatalog, MetadataCatalog

from recseg_d2.errors import UserError


def datasets_root() -> Path:
    """The folder of all built-in data sets, ``$DETECTRON2_DATASETS`` or ``datasets``."""
    return Path(os.environ.get("DETECTRON2_DATASETS", "datasets"))


def check_registered(name: str, where: str, prefix: str = "") -> None:
    """Refuse the name of a data set that nobody registered.

    Args:
        name: name of the data set in ``DatasetCatalog``.
        where: the config key or the option that names it, for the message.
        prefix: the message lists only names that begin with it.

    Raises:
        UserError: there is no data set of that name.
    """
    registered = sorted(DatasetCatalog.list())
    if name not in registered:
        known = ", ".join(n for n in registered if n.startswith(prefix))
        raise UserError(f"{where}: found {name!r}, expected a registered data set: {known}.")


def unregister(name: str) -> None:
    """Take a name out of both catalogs, where it is there."""
    for catalog in (DatasetCatalog, MetadataCatalog):
        if name in catalog.list():
            catalog.remove(name)
