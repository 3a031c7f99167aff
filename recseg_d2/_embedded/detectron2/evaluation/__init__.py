"""Running a model over a data set, and scoring what it says."""
# ruff: noqa: F403

from .coco_evaluation import *
from .evaluator import *
from .testing import *
