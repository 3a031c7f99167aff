"""Stages of several models and modes side by side: a column each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from benchmarks.measuring import OURS
from benchmarks.stages.places import STAGES
from benchmarks.stages.rows import WHOLE

Row = dict[str, Any]
WHOLES = ("ms an image", "GFLOP an image", "% of matrix peak", "times literal", "peak MiB")


def column_of(row: Row) -> str:
    """The model and mode of a row, in two lines."""
    precision = "" if row["precision"] == "float32" else f", {row['precision']}"
    return f"{row['config']}\n{row['mode']}{precision}"


def share_rows(rows: Sequence[Row]) -> list[Row]:
    """Percent of the time of this package's versions, and below what is of all stages together.

    Args:
        rows: what ``stage_rows`` gave, of one or several models and modes.

    Returns:
        a row for each stage that any of them has, and for each of ``WHOLES``; a number for each
        column, absent where there is none.
    """
    ours = [row for row in rows if row["version"] == OURS]
    table: list[Row] = []
    for stage in STAGES:
        shares = {column_of(row): row["share %"] for row in ours if row["stage"] == stage}
        if shares:
            table.append({"share %": stage, **shares})
    for name in WHOLES:
        numbers = {
            column_of(row): row[name]
            for row in ours
            if row["stage"] == WHOLE and row.get(name) is not None
        }
        if numbers:
            table.append({"share %": name, **numbers})
    return table
