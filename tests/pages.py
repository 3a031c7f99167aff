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

    Commands of a container count, and those of ``srun`` and ``torchrun`` that start the training
    tool; what a shell does with the output is left out.
    """
    for language, block in blocks(path.read_text()):
        for line in [] if language in ("python", "yaml") else lines_of(block):
            words = shlex.split(line, comments=True)
            words = words[: words.index(">")] if ">" in words else words
            benchmark = words[:2] == ["python", "-m"] and words[2].startswith("benchmarks.")
            if words[:2] == ["docker", "build"] or benchmark:  # "recseg" is a value there
                continue
            if "tools/train_net.py" in words:
                yield ["train", *words[words.index("tools/train_net.py") + 1 :]]
            for name in {"recseg", "recseg:cuda"} & set(words):
                yield words[words.index(name) + 1 :]


def mentions(path: Path) -> Iterator[list[str]]:
    """The words behind ``recseg`` of each command in a sentence; it may be a part of one."""
    text = re.sub(r"^[ ]*```.*?^[ ]*```$", "", path.read_text(), flags=re.S | re.M)
    for code in re.findall(r"`recseg ([^`]+)`", text):
        yield code.split()


def shortened(words: list[str]) -> list[str]:
    """A command, behind ``recseg``, with options that make it short."""
    words = list(words)
    if "make-dataset" in words:
        words += ["--images", "4", "--size", "48"]
    if "train" in words and "--weights" in words:
        words += ["SOLVER.MAX_ITER", "1", "TEST.NUM_PICTURES", "1"]  # of a model of its own size
    elif "train" in words:
        words += SHORT_MODEL if "--config-file" in words else SHORT_DENSE
    return words
