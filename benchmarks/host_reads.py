"""Where a model makes the host wait for its device.

A device computes on its own while Python runs ahead, until Python asks for a value, or for a tensor
whose size is a value (``nonzero``), or copies numbers to the device that it made itself. Each of
them waits until the device has done all that it was given. Here such calls are counted without a
device: tensors that play a device's are marked, and so is all that is computed of them.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

PACKAGE = Path(__file__).parents[1] / "recseg_d2"
_READS = {
    *("item", "tolist", "numpy", "cpu", "__array__", "__bool__", "__int__", "__float__"),
    *("__index__", "nonzero", "argwhere", "equal", "allclose", "unique", "unique_consecutive"),
    *("bincount", "masked_select"),
}
_INDEXING = ("__getitem__", "__setitem__", "index_put", "index_put_")


class DeviceTensor(torch.Tensor):
    """A tensor that plays one of a device; what is computed of it is one, too."""


class HostReads(TorchFunctionMode):
    """Inside, calls that wait for the device are counted.

    A tensor is taken for one of the device from where it is moved there (``to`` with a device), or
    made there (``device=``). A place is a module of the package and a function of it, such as
    "layers.matching.assign".

    Attributes:
        reads: how often each place asked for values of the device.
        uploads: how often each place brought numbers of the host to the device.
    """

    def __init__(self) -> None:
        super().__init__()
        self.reads: Counter[str] = Counter()
        self.uploads: Counter[str] = Counter()

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Count the call where it waits, and do it."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        on_device = _is_marked(args) or _is_marked(list(kwargs.values()))
        result = func(*args, **kwargs)
        if on_device and _reads(name, args, kwargs):
            self.reads[_place()] += 1
            return result.as_subclass(torch.Tensor) if name in ("cpu", "to") else result
        if _uploads(name, args, kwargs, on_device):
            self.uploads[_place()] += 1
        return result.as_subclass(DeviceTensor) if _made_there(name, args, kwargs) else result


def _is_marked(values: Any) -> bool:
    if isinstance(values, list | tuple):
        return any(map(_is_marked, values))
    return isinstance(values, DeviceTensor)


def _reads(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call on a tensor of the device needs its values."""
    if name == "to":
        return "cpu" in args or kwargs.get("device") == "cpu"
    if name == "where":
        return len(args) == 1
    if name == "repeat_interleave":
        return kwargs.get("output_size") is None
    if name in _INDEXING:
        return _has_mask(args[1])
    return name in _READS


def _uploads(name: str, args: Sequence[Any], kwargs: Mapping[str, Any], on_device: bool) -> bool:
    """Whether a call copies numbers of the host to the device."""
    if name in ("tensor", "as_tensor"):
        return isinstance(kwargs.get("device"), torch.device) and not on_device
    if name == "new_tensor":
        return on_device
    return name == "to" and not on_device and _made_there(name, args, kwargs)


def _made_there(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """Whether the result is of the device that a call names."""
    named = list(args) if name == "to" else []
    return any(isinstance(x, torch.device) for x in [*named, kwargs.get("device")])


def _has_mask(index: Any) -> bool:
    """Whether an index has bools of the device, whose number is a value."""
    if isinstance(index, list | tuple):
        return any(map(_has_mask, index))
    return isinstance(index, DeviceTensor) and index.dtype == torch.bool


def _place() -> str:
    """The innermost function of the package that is running."""
    frame = sys._getframe(2)
    while PACKAGE not in Path(frame.f_code.co_filename).parents:
        if frame.f_back is None:
            return "elsewhere"
        frame = frame.f_back
    module = ".".join(Path(frame.f_code.co_filename).relative_to(PACKAGE).with_suffix("").parts)
    return f"{module}.{frame.f_code.co_name}"
