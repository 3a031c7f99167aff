"""A model's run as a CUDA graph: recorded once, then replayed by a single launch."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from typing import Any

import torch

_MOST = 2  # recordings that are kept: batches of the full size, and the last one of a data set
_WARM_UPS = 3  # runs before a recording, in which libraries choose their algorithms

_Recording = tuple[torch.cuda.CUDAGraph, torch.Tensor, Any]


class RecordedRun:
    """A function of images, replayed from a CUDA graph for each shape of them.

    Weights that change in place count from the next call on; where they have moved, the run is
    recorded anew. A recording holds the memory of one run for as long as it is kept.

    Args:
        run: a function of one CUDA tensor that returns tensors, in whatever holds them, and which
            nothing on the host decides about. It is called without gradients.
        tensors: what else it reads, its weights; asked for at each call.
    """

    def __init__(
        self,
        run: Callable[[torch.Tensor], Any],
        tensors: Callable[[], Iterable[torch.Tensor]],
    ) -> None:
        self.run, self.tensors = run, tensors
        self._recordings: dict[Any, _Recording] = {}

    def __call__(self, images: torch.Tensor) -> Any:
        """``run(images)``, in memory of its own."""
        places = tuple(tensor.data_ptr() for tensor in self.tensors())
        key = (images.shape, images.dtype, places)
        if key not in self._recordings:
            self._drop(places)
            self._recordings[key] = self._record(images)
        graph, inputs, outputs = self._recordings[key]
        inputs.copy_(images)
        graph.replay()
        return copy.deepcopy(outputs)  # the next replay writes over them

    def _drop(self, places: tuple[int, ...]) -> None:
        """Forget recordings of weights that have moved, and the oldest where there are too many."""
        kept = [key for key in self._recordings if key[2] == places][1 - _MOST :]
        self._recordings = {key: self._recordings[key] for key in kept}

    def _record(self, images: torch.Tensor) -> _Recording:
        inputs = images.clone()
        aside = torch.cuda.Stream(images.device)  # what is recorded has to have run before, aside
        aside.wait_stream(torch.cuda.current_stream(images.device))
        with torch.cuda.stream(aside):
            for _ in range(_WARM_UPS):
                self.run(inputs)
        torch.cuda.current_stream(images.device).wait_stream(aside)
        # weights in a shorter type that autocast has kept since would not be in the recording
        torch.clear_autocast_cache()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            outputs = self.run(inputs)
        return graph, inputs, outputs

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a model records its own runs: a recording reads the weights where they lie."""
        return {"run": self.run, "tensors": self.tensors, "_recordings": {}}
