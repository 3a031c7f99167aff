"""``recseg predict`` in a test, and the tables that it writes."""

from __future__ import annotations

import csv

from recseg_d2.cli import run
from recseg_d2.cli.predict import main


def predict(trained, *inputs, output, more=()) -> int:
    names = [str(path) for path in inputs]
    arguments = ["--weights", str(trained), "--input", *names, "--output", str(output), *more]
    return run(main, arguments)


def counts(output) -> list[list[str]]:
    with open(output / "counts.csv", newline="") as file:
        return list(csv.reader(file))


def table(path) -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file))
