"""Config nodes, and constructors that take them."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import IO, Any

from fvcore.common.config import CfgNode as _CfgNode

from detectron2.utils.file_io import PathManager


class CfgNode(_CfgNode):
    """fvcore's config node (``_BASE_``, ``freeze``, ``merge_from_list`` ...); checks VERSION."""

    @classmethod
    def _open_cfg(cls, filename: str) -> IO[str]:
        return PathManager.open(filename, "r")

    def merge_from_file(self, cfg_filename: str, allow_unsafe: bool = True) -> None:
        """Merge a YAML file, which may name its bases, relative to itself, in ``_BASE_``.

        Args:
            cfg_filename: path or URL.
            allow_unsafe: allow YAML tags that run code: do not load files that you do not trust.

        Raises:
            AssertionError: there is no such file, or its VERSION is not this config's.
            KeyError: a key that this config does not have.
        """
        assert PathManager.isfile(cfg_filename), f"Config file '{cfg_filename}' does not exist!"
        loaded = type(self)(self.load_yaml_with_base(cfg_filename, allow_unsafe=allow_unsafe))
        version = loaded.get("VERSION", self.VERSION)
        assert version == self.VERSION, (
            f"Config '{cfg_filename}' has VERSION {version}, this config {self.VERSION}. "
            "Detectron2's upgrade_config converts old files."
        )
        self.merge_from_other_cfg(loaded)


def get_cfg() -> CfgNode:
    """A copy of the defaults."""
    from .defaults import _C  # defaults.py is made of CfgNode

    return _C.clone()


def configurable(init_func: Any = None, *, from_config: Callable | None = None) -> Callable:
    """Let a constructor or function also be called with a config.

    On ``__init__``, the class has a classmethod ``from_config(cls, cfg, ...)`` that returns the
    constructor's arguments as a dict; on a function, use ``@configurable(from_config=function)``.
    ``A(cfg, b=3)`` then is ``A(**{**A.from_config(cfg), "b": 3})``; ``A(a=1, b=3)`` is left alone.

    Raises:
        AttributeError: on use, the class has no ``from_config``.
        TypeError: on use, it is no classmethod, or its first argument is not called ``cfg``.
    """
    if from_config is not None:
        return _configurable_function(from_config)
    assert getattr(init_func, "__name__", "") == "__init__", (
        "Use @configurable on __init__, or @configurable(from_config=...) on a function."
    )

    @functools.wraps(init_func)
    def wrapped(self: Any, *args: Any, **kwargs: Any) -> None:
        source = type(self).from_config
        if not inspect.ismethod(source):
            raise TypeError(f"from_config of {type(self).__name__} must be a classmethod.")
        if _has_config(args, kwargs):
            args, kwargs = (), _explicit_arguments(source, args, kwargs)
        init_func(self, *args, **kwargs)

    return wrapped


def _configurable_function(from_config: Callable) -> Callable:
    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def wrapped(*args: Any, **kwargs: Any) -> Any:
            if _has_config(args, kwargs):
                return function(**_explicit_arguments(from_config, args, kwargs))
            return function(*args, **kwargs)

        wrapped.from_config = from_config  # type: ignore[attr-defined]
        return wrapped

    return decorate


def _has_config(args: tuple, kwargs: dict[str, Any]) -> bool:
    return isinstance(args[0] if args else kwargs.get("cfg"), _CfgNode)


def _explicit_arguments(from_config: Callable, args: tuple, kwargs: dict) -> dict[str, Any]:
    """What ``from_config`` makes of the arguments, and those that it does not know."""
    parameters = inspect.signature(from_config).parameters
    if next(iter(parameters), None) != "cfg":
        raise TypeError(f"The first argument of {from_config} must be called 'cfg'.")
    kinds = {parameter.kind for parameter in parameters.values()}
    if kinds & {inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD}:
        return from_config(*args, **kwargs)
    known = {name: value for name, value in kwargs.items() if name in parameters}
    unknown = {name: value for name, value in kwargs.items() if name not in parameters}
    return {**from_config(*args, **known), **unknown}
