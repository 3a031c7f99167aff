"""The training loop, its hooks, and the defaults that wire everything together."""
# ruff: noqa: F403

from . import hooks as hooks
from .defaults import *
from .hooks import *
from .launch import *
from .train_loop import *
