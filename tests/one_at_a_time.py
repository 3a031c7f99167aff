"""Predicted masks that exist only while somebody looks at them, as of a model with very many."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from detectron2.structures import Instances


class OneAtATime:
    """K masks of which nobody gets more than one at a time.

    Args:
        masks: (K, H, W) bool.
    """

    def __init__(self, masks: torch.Tensor) -> None:
        self._masks = masks

    def __len__(self) -> int:
        return len(self._masks)

    def __iter__(self) -> Iterator[torch.Tensor]:
        return iter(self._masks)

    def __getitem__(self, index: Any) -> OneAtATime:
        return OneAtATime(self._masks[index])

    def to(self, *args: Any, **kwargs: Any) -> OneAtATime:
        return OneAtATime(self._masks.to(*args, **kwargs))


def one_at_a_time(instances: Instances) -> Instances:
    """The same instances with such masks."""
    fields = {**instances.get_fields(), "pred_masks": OneAtATime(instances.pred_masks)}
    return Instances(instances.image_size, **fields)
