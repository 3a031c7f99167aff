"""Images whose objects are found in the order of a simple strategy (RSIS, figure 4)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from recseg_d2 import rle
from recseg_d2.analysis.evidence import PredictedObjects, check_size
from recseg_d2.analysis.predictions import AnalysisInput, RunPredictions
from recseg_d2.analysis.result import AnalysisResult, Row
from recseg_d2.analysis.run_folder import of_each
from recseg_d2.data.io.images import for_display, read_image
from recseg_d2.metrics.ordering import PATTERNS, kendall_tau, pattern_values
from recseg_d2.visualization.frame import Frame

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

SIDE = 320  # longest side of a drawn image in pixels
INCHES = 2.4  # width and height of its place in the figure


@dataclass(frozen=True, eq=False)
class Example:
    """An image and how far its order of discovery follows a strategy.

    Attributes:
        tau: Kendall's tau in [-1, 1] of the order against the strategy.
        found: the predictions of the image.
        record: Detectron2's standard dict of the image.
    """

    tau: float
    found: PredictedObjects
    record: dict[str, Any]

    def row(self) -> Row:
        """What the table says of it."""
        named = {"image": self.record["image_id"], "file": self.record["file_name"]}
        return {**named, "objects": len(self.found.masks), "tau": self.tau}


def analyse(data: AnalysisInput) -> AnalysisResult:
    """Images whose order of discovery follows each strategy most, with their objects numbered.

    Raises:
        MissingResultsError: no model finds one object after another, no image has objects enough,
            or the data set is not registered here.
        UserError: the data set lacks one of the images.
    """
    predictions, notes = data.saved
    of_runs, missing = of_each(predictions, best_examples)
    examples = {of_run.label: of_patterns for of_run, of_patterns in of_runs}
    rows = [
        {"run": run, "sorting": pattern, "rank": rank, **example.row()}
        for run, of_patterns in examples.items()
        for pattern, best in of_patterns.items()
        for rank, example in enumerate(best, start=1)
    ]
    return AnalysisResult(
        tables={"sequences": rows},
        plots={"sequences": partial(draw_runs, examples)},
        notes=[*notes, *missing],
    )


def best_examples(predictions: RunPredictions) -> dict[str, list[Example]]:
    """The images of the highest tau against each of ``PATTERNS``, the highest first.

    Of images that follow a strategy equally well, those with more objects come first, since a
    short sequence follows one by chance.

    Raises:
        MissingResultsError: there is no order of discovery, no image has ``min_found``, or the
            data set is not registered here.
    """
    options = predictions.options
    predictions.check_order(options.min_found)
    examples: dict[str, list[Example]] = {pattern: [] for pattern in PATTERNS}
    for found, record in zip(predictions.found, predictions.records, strict=True):
        if len(found.masks) >= options.min_found:
            for pattern, values in pattern_values(found.centers, found.areas).items():
                examples[pattern].append(Example(kendall_tau(values), found, record))
    return {
        pattern: sorted(of_pattern, key=_by_tau)[: options.examples]
        for pattern, of_pattern in examples.items()
    }


def draw_runs(examples: Mapping[str, Mapping[str, Sequence[Example]]], figure: Figure) -> None:
    """A block for each run: a row for each strategy, with the images that follow it most.

    Args:
        examples: what ``best_examples`` gives, by the run's label.
        figure: an empty figure, which is drawn into.

    Raises:
        UserError: an image cannot be read, or is not of its predictions' size.
    """
    columns = [max(map(len, of_run.values())) for of_run in examples.values()]
    figure.set_size_inches(INCHES * sum(columns), INCHES * len(PATTERNS))
    blocks = figure.subfigures(1, len(columns), squeeze=False, width_ratios=columns)[0]
    for block, (run, of_run) in zip(blocks, examples.items(), strict=True):
        block.suptitle(f"{run}: objects in the order of discovery")
        _draw_patterns(of_run, block)


def draw_example(example: Example, axes: Axes) -> None:
    """The image with its masks, numbered in the order of discovery from 1."""
    name, found = example.record["file_name"], example.found
    frame = Frame.of(for_display(read_image(name)), SIDE)
    check_size(found, frame.given, name)
    masks = frame.fit(map(rle.decode, found.masks))
    axes.imshow(frame.panel("", masks).image)
    look: dict[str, Any] = {"color": "white", "ha": "center", "va": "center", "fontsize": "small"}
    dark = {"facecolor": "black", "alpha": 0.6, "linewidth": 0, "pad": 1}  # legible on any colour
    for number, center in enumerate(found.centers, start=1):
        # the centre of the first pixel is at 0 in a picture, at 0.5 among centres of mass
        y, x = center * frame.size / frame.given - 0.5
        axes.text(x, y, str(number), bbox=dark, **look)
    axes.set_title(f"{example.record['image_id']}: tau {example.tau:.2f}", fontsize="small")


def _draw_patterns(examples: Mapping[str, Sequence[Example]], figure: SubFigure) -> None:
    grid = figure.subplots(len(examples), max(map(len, examples.values())), squeeze=False)
    for row, (pattern, of_pattern) in zip(grid, examples.items(), strict=True):
        for axes in row:
            axes.set(xticks=[], yticks=[], frame_on=False)
        row[0].set_ylabel(pattern)
        for axes, example in zip(row, of_pattern, strict=True):
            draw_example(example, axes)


def _by_tau(example: Example) -> tuple[float, int]:
    """Sorts the highest tau first, then the most objects."""
    return -example.tau, -len(example.found.masks)
