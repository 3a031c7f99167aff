"""Data sets, mappers and loaders."""
# ruff: noqa: F403

from . import transforms as transforms  # isort: skip  (the other modules use it)
from .build import *
from .catalog import *
from .common import *
from .dataset_mapper import *

from . import datasets as datasets  # isort: skip  (after the catalogs, which it uses)
from . import samplers as samplers
