"""Reads and writes checkpoints."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlparse

from fvcore.common.checkpoint import Checkpointer
from torch import nn

from detectron2.utils import comm
from detectron2.utils.file_io import PathManager

from .c2_model_loading import align_and_update_state_dicts

_FROM_CONFIG = ("pixel_mean", "pixel_std")  # buffers that need not be in a checkpoint
_CAFFE2 = "has Caffe2's names for weights: reading it takes the real Detectron2."


class DetectionCheckpointer(Checkpointer):
    """fvcore's checkpointer, for the model zoo's files as well; saves in the main process only.

    Reads ``.pth`` (its own, or a bare state dict) and the zoo's ``.pkl``. The zoo's ImageNet
    weights, and those of a path that ends in "?matching_heuristics=True", are matched with the
    model's by the ends of their names.
    """

    def __init__(
        self,
        model: nn.Module,
        save_dir: str = "",
        *,
        save_to_disk: bool | None = None,
        **checkpointables: Any,
    ) -> None:
        save = comm.is_main_process() if save_to_disk is None else save_to_disk
        super().__init__(model, save_dir, save_to_disk=save, **checkpointables)
        self.path_manager = PathManager
        self._match_names = False

    def load(self, path: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Load a checkpoint; see fvcore.

        Raises:
            AssertionError: there is no such file.
            ValueError: a query other than "matching_heuristics", or weights with Caffe2's names.
        """
        if path:
            url = urlparse(path)
            query = parse_qs(url.query)
            self._match_names = query.pop("matching_heuristics", None) == ["True"]
            if query:
                raise ValueError(f"{path}: unknown query {', '.join(query)}.")
            path = self.path_manager.get_local_path(url._replace(query="").geturl())
        return super().load(path, *args, **kwargs)

    def _load_file(self, f: str) -> dict[str, Any]:
        if f.endswith(".pkl"):
            return _read_pickle(f)
        loaded = super()._load_file(f)
        loaded = loaded if "model" in loaded else {"model": loaded}
        return {**loaded, "matching_heuristics": True} if self._match_names else loaded

    def _load_model(self, checkpoint: dict[str, Any]) -> Any:
        if checkpoint.get("__author__") == "Caffe2":
            raise ValueError(f"The checkpoint {_CAFFE2}")
        if checkpoint.get("matching_heuristics", False):
            weights = checkpoint["model"]
            self._convert_ndarray_to_tensor(weights)
            weights = align_and_update_state_dicts(self.model.state_dict(), weights)
            checkpoint = {**checkpoint, "model": weights}
        incompatible = super()._load_model(checkpoint)
        for name in _FROM_CONFIG:
            if name in incompatible.missing_keys:
                incompatible.missing_keys.remove(name)
        return incompatible


def _read_pickle(path: str) -> dict[str, Any]:
    # late: whoever imports this module first has not imported the package that it stands for yet
    from recseg_d2.safe_pickle import load_pickle

    data = load_pickle(path)
    if "model" in data and data.get("__author__", "Caffe2") != "Caffe2":
        return data
    raise ValueError(f"{path} {_CAFFE2}")
