"""Prints the reference page of the configs: ``python -m recseg_d2.config.reference``.

A key's meaning is the comment of its field: at the end of its line, or in the lines above it.
"""

from __future__ import annotations

import ast
import inspect
import io
import textwrap
import tokenize
import types
from collections.abc import Iterator
from dataclasses import Field
from typing import Any, Literal, get_args, get_origin, get_type_hints

from recseg_d2.config import CHANGED_DEFAULTS, NODES
from recseg_d2.config.nodes import walk_options

INTRODUCTION = """\
# Config keys

Every key that this package adds to a config, with its type, its default and what it means; keys of
Detectron2 are listed where their default is another one here. This page is printed from the code by
`make docs`.
"""


def reference_page() -> str:
    """The page, in Markdown."""
    parts = [INTRODUCTION, _detectron2_table()]
    for key, kind in sorted(NODES.items()):
        for own_kind, own_key, fields in walk_options(kind, key):
            parts.append(_section(own_kind, own_key, fields))
    return "\n".join(parts)


def field_comments(kind: type) -> dict[str, str]:
    """What each field of a dataclass means, as its source says."""
    source = textwrap.dedent(inspect.getsource(kind))
    (declaration,) = ast.parse(source).body
    assert isinstance(declaration, ast.ClassDef)
    comments = dict(_comments(source))
    meanings = {}
    for node in declaration.body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            lines = [n for n in range(node.lineno, (node.end_lineno or 0) + 1) if n in comments]
            first = node.lineno
            while comments.get(first - 1, ("", False))[1]:
                first -= 1
            lines = [*range(first, node.lineno), *lines]
            meanings[node.target.id] = " ".join(comments[n][0] for n in lines)
    return meanings


def type_name(hint: Any) -> str:
    """A field's type in words, as "float", "a | b" or "int, ..."."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Literal:
        return " | ".join(map(str, arguments))
    if origin is tuple:
        names = ["..." if a is ... else type_name(a) for a in arguments]
        return f"({', '.join(names)})"
    if isinstance(hint, types.GenericAlias):
        return origin.__name__
    return hint.__name__


def _comments(source: str) -> Iterator[tuple[int, tuple[str, bool]]]:
    """By line number: a comment's text, and whether it has the line to itself."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            alone = token.line.strip().startswith("#")
            yield token.start[0], (token.string.removeprefix("#").strip(), alone)


def _detectron2_table() -> str:
    rows = [f"| `{key}` | `{value!r}` | {why} |" for key, value, why in CHANGED_DEFAULTS]
    head = ["## Other defaults than Detectron2's", "", "| key | default | why |", "|---|---|---|"]
    return "\n".join([*head, *rows, ""])


def _section(kind: type, key: str, fields: list[Field]) -> str:
    hints, meanings, defaults = get_type_hints(kind), field_comments(kind), kind()
    lines = [f"## {key}", "", inspect.getdoc(kind) or "", ""]
    if fields:
        lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for field in fields:
        default = f"`{getattr(defaults, field.name)!r}`"
        cells = [type_name(hints[field.name]), default, meanings[field.name]]
        escaped = [cell.replace("|", "\\|") for cell in cells]
        lines.append(f"| `{field.name.upper()}` | {' | '.join(escaped)} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(reference_page(), end="")
