"""Trained models that come with the package, in the manner of Detectron2's ``model_zoo``.

    from recseg_d2 import model_zoo
    model = model_zoo.get("nuclei", trained=True)     # a torch module, ready to predict
    cfg = model_zoo.get_config("nuclei", trained=True)  # for DefaultPredictor or Predictor

Wherever weights are named, in a config or on the command line, ``recseg://nuclei`` is that model.
"""

from recseg_d2.model_zoo.card import Card, read_card
from recseg_d2.model_zoo.registry import (
    get,
    get_checkpoint,
    get_config,
    get_config_file,
    names,
)

__all__ = [
    "Card",
    "get",
    "get_checkpoint",
    "get_config",
    "get_config_file",
    "names",
    "read_card",
]
