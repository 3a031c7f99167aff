"""How models are measured: how often, how many images at a time, beside what."""

from __future__ import annotations

from dataclasses import dataclass

from detectron2.config import CfgNode

from benchmarks.literal import LITERAL
from benchmarks.models import PATIENCE, Subject, peak_bytes

OURS, THEIRS = "this package", "paper-literal"  # the versions of a model
MEBIBYTE = 2**20


@dataclass(frozen=True)
class MeasureOptions:
    """How models are measured.

    Attributes:
        batch_size: number of images in a step.
        repeats: timed steps, of which the median counts.
        threads: number of CPU threads that PyTorch may use.
        memory: whether the peak of memory is measured too.
        literal: whether paper-literal versions are measured beside.
        objects: see ``random_batch``.
    """

    batch_size: int = 4
    repeats: int = 5
    threads: int = 1
    memory: bool = True
    literal: bool = True
    objects: tuple[int, int] | None = None

    def subject(self, cfg: CfgNode, mode: str, literal: bool = False) -> Subject:
        """A model to be measured so."""
        images = self.batch_size
        if literal:
            images = min(images, LITERAL[cfg.MODEL.META_ARCHITECTURE].most_images)
        return Subject(cfg, mode, images, literal, self.threads, self.objects)


def versions_of(cfg: CfgNode, mode: str, options: MeasureOptions) -> dict[str, Subject]:
    """The package's model, and its paper-literal version where there is one and it is wanted."""
    subjects = {OURS: options.subject(cfg, mode)}
    literal = LITERAL.get(cfg.MODEL.META_ARCHITECTURE)
    if options.literal and literal is not None and mode in literal.modes:
        subjects[THEIRS] = options.subject(cfg, mode, literal=True)
    return subjects


def peak_mebibytes(subject: Subject, seconds: float, options: MeasureOptions) -> float | None:
    """``peak_bytes`` in MiB; None of what is slow, or where it is not asked for."""
    if not options.memory or seconds > PATIENCE:
        return None
    peak = peak_bytes(subject)
    return None if peak is None else peak / MEBIBYTE
