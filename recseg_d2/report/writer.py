"""The page: results and images in the templates of ``page/``, one file that needs no server."""

from __future__ import annotations

import importlib.util
import math
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from tqdm import tqdm

from recseg_d2.analysis.catalog import ANALYSES, run_analyses
from recseg_d2.analysis.predictions import AnalysisInput, RunPredictions
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.engine.predictor import Predictor
from recseg_d2.errors import UserError
from recseg_d2.files import make_place, write_whole
from recseg_d2.report.gathering import choose, gather
from recseg_d2.report.images import describe_image
from recseg_d2.report.options import ReportOptions

PAGE = "report.html"
_IMAGE_SCRIPTS = ("objects.js", "masks.js", "viewer.js", "gallery.js")
_JSON = {"separators": (",", ":"), "allow_nan": False}


def check_libraries() -> None:
    """Refuse at once what would fail after the computing.

    Raises:
        UserError: plotly or Jinja2 is not installed.
    """
    missing = [name for name in ("jinja2", "plotly") if importlib.util.find_spec(name) is None]
    if missing:
        names = " and ".join(missing)
        raise UserError(f"the report needs {names}: pip install 'recseg_d2[report]'.")


def write_report(
    folder: str | Path,
    data: AnalysisInput,
    options: ReportOptions,
    predictors: Sequence[Predictor | None] = (),
) -> Path:
    """Write the page.

    Args:
        folder: where report.html goes; it is made where it is missing.
        data: the runs, side by side, and the options of the analyses.
        options: what of the images is in the page.
        predictors: of each run, to ask where its model looked; None, or none at all, asks none.

    Returns:
        the file.

    Raises:
        UserError: plotly or Jinja2 is missing, the runs hold nothing to show, something is there
            but wrong, or the file cannot be written.
    """
    check_libraries()
    from recseg_d2.report import content  # it imports plotly

    path = make_place(Path(folder) / PAGE)
    results = dict(run_analyses(list(ANALYSES), data))
    predictions = _saved(data)
    if not predictions and len(content.missing_of(results)) == len(results):
        raise UserError("; ".join(f"{k}: {why}" for k, why in content.missing_of(results)))
    figures = content.Figures(content.labels_of(results, predictions))
    images, left_out, notes = _images(predictions, options, _asked(data, predictions, predictors))
    context = {
        "title": options.title,
        "version": sys.modules["recseg_d2"].__version__,  # which is above this module
        "runs": content.colored(figures.runs, figures.runs),
        "scores": content.scores_of(results, figures),
        "parts": content.parts_of(results, figures),
        "missing": content.missing_of(results),
        "notes": notes,
        "left_out": left_out,
        "data": content.script_data(images, predictions, figures),
    }
    context["sizes"] = content.size_texts(context["data"]["sizeLimits"])
    with write_whole(path) as file:
        file.write(render(context))
    return path


def render(context: dict[str, Any]) -> str:
    """The page's HTML, of what ``page/report.html`` names."""
    import jinja2
    from markupsafe import Markup
    from plotly.offline import get_plotlyjs

    loader = jinja2.PackageLoader("recseg_d2.report", "page")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.policies["json.dumps_kwargs"] = _JSON
    environment.filters.update(exact=_exact, rounded=_rounded)
    names = (*(_IMAGE_SCRIPTS if context["data"]["images"] else _IMAGE_SCRIPTS[:1]), "charts.js")
    # these are the package's own; everything else is escaped
    own = {
        "style": Markup(_page_file("report.css")),
        "scripts": [Markup(_page_file(name)) for name in names],
        "plotly": Markup(get_plotlyjs()),
    }
    return environment.get_template("report.html").render(**context, **own)


def _saved(data: AnalysisInput) -> list[RunPredictions]:
    try:
        return data.saved[0]
    except MissingResultsError:
        return []


def _asked(
    data: AnalysisInput,
    predictions: Sequence[RunPredictions],
    predictors: Sequence[Predictor | None],
) -> list[Predictor | None]:
    """The predictor of the run that each of the files of predictions is from."""
    of_run = dict(zip([run.path for run in data.runs], predictors, strict=False))
    return [of_run.get(one.run.path) for one in predictions]


def _images(
    predictions: Sequence[RunPredictions],
    options: ReportOptions,
    predictors: Sequence[Predictor | None],
) -> tuple[list[dict[str, Any]], int, list[str]]:
    """The images of the page, how many are left out, and notes on what they do not show."""
    images = gather(predictions, options)
    chosen = choose(images, predictions, options.max_images)
    shown = tqdm(chosen, desc="images", unit="image", disable=None)
    described = [describe_image(one, predictions, predictors, options.side) for one in shown]
    notes = []
    for number, (of_run, predictor) in enumerate(zip(predictions, predictors, strict=True)):
        silent = [
            one["name"]
            for one in described
            if one["runs"][number] and one["runs"][number]["windows"] is None
        ]
        if predictor is not None and silent:
            notes.append(
                f"{of_run.label}: where the model looked is not shown for {len(silent)} images "
                f"({silent[0]}, ..): it does not tell, or its weights find other objects there "
                "than were saved."
            )
    return described, len(images) - len(chosen), notes


def _page_file(name: str) -> str:
    return (files("recseg_d2.report") / "page" / name).read_text(encoding="utf-8")


def _exact(value: float) -> str:
    """A number as its attribute has it; nothing for NaN."""
    return "" if math.isnan(value) else repr(value)


def _rounded(value: float, digits: int) -> str:
    """A number as it is read; a dash for NaN."""
    return "\N{EN DASH}" if math.isnan(value) else f"{value:.{digits}f}"
