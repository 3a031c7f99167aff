"""What the pages for users say: code blocks, commands, and options that make commands short."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent

SHORT_MODEL = [
    *("MODEL.BACKBONE.NAME", "build_small_encoder_backbone", "MODEL.WEIGHTS", ""),
    *("MODEL.SMALL_ENCODER.WIDTHS", "[4,6]", "MODEL.RSIS.HIDDEN_WIDTHS", "[6,4]"),
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", "(32,32)", "SOLVER.PHASES", "[]", "SOLVER.MAX_ITER", "2"),
    *("SOLVER.IMS_PER_BATCH", "2", "MODEL.SEQUENTIAL.TEST.SCORE_THRESH", "0.0"),
]
SHORT_DENSE = [
    *("MODEL.RESIDUAL_ENCODER.WIDTHS", "(4,4,4)", "INPUT.SIMILARITY_CROP.SIZE", "32"),
    *("SOLVER.MAX_ITER", "2", "SOLVER.IMS_PER_BATCH", "2", "TEST.NUM_PICTURES", "1"),
    *("MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", "3", "SOLVER.PHASES", "[]"),
]


def pages() -> list[Path]:
    """Every Markdown file of the checkout that users read."""
    found = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("projects/*/*.md")]
    return sorted(found)


def blocks(text: str) -> Iterator[tuple[str, str]]:
    """The language and the content of each fenced block of a page, in its order."""
    yield from re.findall(r"^[ ]*```(\w*)[^\n]*\n(.*?)^[ ]*```$", text, re.S | re.M)


def lines_of(block: str) -> list[str]:
    """The lines of a block of commands; those that end in a backslash go on in the next."""
    return [line for line in re.sub(r"\\\n\s*", "", block).splitlines() if line.strip()]


def commands(path: Path) -> Iterator[list[str]]:
    """The words behind ``recseg`` of each command in a block of a page.

    Those of ``torchrun`` and ``srun`` that start the training tool count as its.
    """
    for language, block in blocks(path.read_text()):
        if language in ("python", "yaml"):
            continue
        for line in lines_of(block):
            words = shlex.split(line, comments=True)
            if "recseg" in words:
                yield words[words.index("recseg") + 1 :]
            elif "tools/train_net.py" in words:
                yield ["train", *words[words.index("tools/train_net.py") + 1 :]]


def shortened(words: list[str]) -> list[str]:
    """A command, behind ``recseg``, with options that make it short."""
    words = list(words)
    if "make-dataset" in words:
        words += ["--images", "4", "--size", "48"]
    if "train" in words:
        words += SHORT_MODEL if "--config-file" in words else SHORT_DENSE
    return words
