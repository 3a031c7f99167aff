"""Recall against IoU, as in figures 6 and 7 of Dai et al. 2016.

matplotlib is the extra ``plots``, imported where it is used.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from recseg_d2.errors import UserError
from recseg_d2.files import make_place

PANEL_INCHES = (4.2, 3.6)  # width and height of a panel


def save_recall_curves(
    path: str | Path, ious: np.ndarray, curves: Mapping[str, Mapping[str, np.ndarray]]
) -> Path:
    """Draw a panel for each number of proposals, with a line for each method or size of object.

    Args:
        path: of the PNG file; its folder is made.
        ious: (M,) thresholds along the x axis.
        curves: by the panel's title, then by the line's label: (M,) recall in [0, 1]; a line that
            is NaN throughout (no such object) is left out.

    Returns:
        the path.

    Raises:
        UserError: matplotlib is missing, or the file cannot be written there.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise UserError("plots need matplotlib: pip install 'recseg_d2[plots]'.") from error
    path = make_place(path)
    width, height = PANEL_INCHES
    figure = Figure(figsize=(width * len(curves), height), layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (title, lines) in zip(
        figure.subplots(1, len(curves), squeeze=False)[0], curves.items(), strict=True
    ):
        for label, recall in lines.items():
            if not np.isnan(recall).all():
                axes.plot(ious, recall, label=label)
        axes.set(title=title, xlabel="IoU", ylabel="recall", xlim=(ious[0], ious[-1]), ylim=(0, 1))
        axes.grid(alpha=0.3)
        if axes.lines:
            axes.legend()
    figure.savefig(path, dpi=120)
    return path
