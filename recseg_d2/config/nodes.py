"""Config nodes made from dataclasses of options, and options read back from nodes.

A field ``score_thresh: float = 0.5`` is a key ``SCORE_THRESH`` with that default, a field that is a
dataclass itself is a node of its own. The types are bool, int, float, str, ``Literal`` choices,
tuples of these, and dicts that are taken as they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import Field, fields, is_dataclass, replace
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from detectron2.config import CfgNode

from recseg_d2.errors import OptionError, UserError

T = TypeVar("T")


def add_options(node: CfgNode, options: Any) -> None:
    """Add a key for every field of an object of options, with its value as the default."""
    for name in (field.name for field in fields(options)):
        value = getattr(options, name)
        if is_dataclass(value):
            node[name.upper()] = CfgNode()
            add_options(node[name.upper()], value)
        else:
            node[name.upper()] = value


def build_options(kind: type[T], node: CfgNode, key: str) -> T:
    """The options that a node has the values of.

    Args:
        kind: the class of options, a frozen dataclass.
        node: made by ``add_options``; other keys in it are left alone.
        key: the node's full key, such as "MODEL.RIS", for error messages.

    Raises:
        UserError: a value is not of the field's type or choices, or cannot work.
    """
    hints = get_type_hints(kind)
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    values = {n: _convert(node[n.upper()], hints[n], f"{key}.{n.upper()}") for n in names}
    with naming_keys({key: kind}):
        return kind(**values)


def with_tuples(options: T) -> T:
    """Options whose sequences are tuples, at any depth; LazyConfigs hand over lists of their own.

    Args:
        options: of any class of options.
    """
    values = {field.name: getattr(options, field.name) for field in fields(options)}  # type: ignore[arg-type]
    own = {n: with_tuples(v) if is_dataclass(v) else _tuples(v) for n, v in values.items()}
    return replace(options, **own)  # type: ignore[type-var]


def _tuples(value: Any) -> Any:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return tuple(map(_tuples, value)) if is_list else value


def walk_options(kind: type, key: str) -> Iterator[tuple[type, str, list[Field]]]:
    """A dataclass of options and those within it: each with its node's key and its own fields."""
    hints = get_type_hints(kind)
    of_nodes = [f for f in fields(kind) if is_dataclass(hints[f.name])]
    yield kind, key, [f for f in fields(kind) if f not in of_nodes]
    for field in of_nodes:
        yield from walk_options(hints[field.name], f"{key}.{field.name.upper()}")


@contextmanager
def naming_keys(nodes: Mapping[str, type]) -> Iterator[None]:
    """Inside, an option that is refused becomes a ``UserError`` that names its key.

    Args:
        nodes: dataclasses of options by the keys of their nodes.
    """
    try:
        yield
    except OptionError as error:
        places = (place for key, kind in nodes.items() for place in walk_options(kind, key))
        keys = {kind: f"{key}." for kind, key, _ in places}
        name = keys.get(error.kind, "") + error.name.upper()
        raise UserError(f"{name} {error.problem}") from error


def _convert(value: Any, hint: Any, key: str) -> Any:
    """A value of a node as the type of its field."""
    if is_dataclass(hint):
        return build_options(hint, value, key)  # type: ignore[arg-type]
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        if value not in arguments:
            choices = ", ".join(map(str, arguments))
            raise UserError(f"{key} is {value!r}; expected one of {choices}.")
        return value
    if origin is tuple:
        return _convert_tuple(value, arguments, key)
    if origin is dict:
        return value
    numbers = (int, float) if hint is float else (hint,)
    if not isinstance(value, numbers) or (isinstance(value, bool) and hint is not bool):
        raise UserError(f"{key}: found {value!r}; expected {hint.__name__}.")
    return hint(value)


def _convert_tuple(value: Any, arguments: tuple[Any, ...], key: str) -> tuple[Any, ...]:
    if not isinstance(value, tuple | list):
        raise UserError(f"{key}: found {value!r}; expected a list.")
    if arguments[1:] == (...,):
        arguments = arguments[:1] * len(value)
    if len(arguments) != len(value):
        raise UserError(f"{key} is {value!r}; expected {len(arguments)} values.")
    return tuple(_convert(v, hint, key) for v, hint in zip(value, arguments, strict=True))
