"""A small data set with images, runs on it, and pages of them to read."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
from analysis.saved_runs import HEIGHT, WIDTH, Found, rectangle, results
from PIL import Image

from recseg_d2.analysis.options import AnalysisOptions
from recseg_d2.analysis.predictions import AnalysisInput
from recseg_d2.analysis.run_folder import open_runs
from recseg_d2.data.coco_results import save_results
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.data.sources.label_maps import LabelMaps
from recseg_d2.report.options import ReportOptions
from recseg_d2.report.writer import write_report

LEFT, RIGHT, TINY = (0, 0, 10, 10), (0, 20, 10, 40), (19, 38, 20, 40)
ASIDE, NOWHERE = (0, 4, 10, 14), (12, 10, 18, 16)
ODD = "a \"b\" <i>&amp; 'c'"  # a file's name that HTML would take for its own
TRUTH = {"plain": [LEFT, RIGHT, TINY], ODD: [LEFT], "empty": []}
GOOD: dict[str, list[Found]] = {
    "plain": [(RIGHT, 0, 0.9), (LEFT, 0, 0.8)],
    ODD: [(LEFT, 0, 0.7)],
    "empty": [],
}
BAD: dict[str, list[Found]] = {
    "plain": [(ASIDE, 0, 0.9), (NOWHERE, 0, 0.8)],
    ODD: [],
    "empty": [(NOWHERE, 0, 0.6)],
}
OBJECT = [{"id": 0, "name": "object"}]


def write_data(folder: Path, truth: dict = TRUTH) -> Path:
    """Images, whose objects are bright, and their label maps."""
    for kind in ("images", "labels"):
        (folder / kind).mkdir(parents=True)
    for name, boxes in truth.items():
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for label, box in enumerate(boxes, start=1):
            labels[rectangle(box)] = label
        pixels = np.where(labels > 0, 180, 40).astype(np.uint8)
        Image.fromarray(pixels).save(folder / "images" / f"{name}.png")
        write_label_map(folder / "labels" / f"{name}.png", labels)
    return folder


def register(name: str, folder: Path) -> str:
    LabelMaps(name, folder / "images", folder / "labels").register()
    return name


def predict(folder: Path, found: dict[str, list[Found]], ordered: bool = True) -> Path:
    """What ``recseg predict`` leaves."""
    entries, images = results(found, ordered)
    images = [{**image, "file_name": f"{image['id']}.png"} for image in images]
    save_results(folder / "predictions.json", entries, images, OBJECT)
    return folder


def report(output: Path, *runs: Path, dataset: str = "", predictors=(), **options) -> Page:
    data = AnalysisInput(open_runs(runs), AnalysisOptions(dataset=dataset))
    return Page.read(write_report(output, data, ReportOptions(**options), predictors))


@dataclass
class Page(HTMLParser):
    """What is in a page, as a browser takes it apart.

    Attributes:
        path: its file.
        links: every "src" and "href".
        values: the numbers of tables by the id of their section, in their order.
        texts: all texts outside of scripts.
        data: what the page's scripts read.
    """

    path: Path
    links: list[str] = field(default_factory=list)
    values: dict[str, list[float]] = field(default_factory=dict)
    texts: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    data: dict = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Page:
        page = cls(path)
        HTMLParser.__init__(page)
        page._section, page._script = "", ""
        page.feed(path.read_text(encoding="utf-8"))
        return page

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.links += [given[key] for key in ("src", "href") if key in given]
        if tag == "section":
            self._section = given["id"]
        if tag == "data":
            value = float(given["value"]) if given["value"] else float("nan")
            self.values.setdefault(self._section, []).append(value)
        if tag in ("script", "style"):
            self._script = given.get("id", tag)

    def handle_endtag(self, tag):
        if tag in ("script", "style"):
            self._script = ""

    def handle_data(self, data):
        if self._script == "page-data":
            self.data = json.loads(data, parse_constant=_refuse)
        elif not self._script:
            self.texts.append(data.strip())


def _refuse(constant: str):
    raise AssertionError(f"{constant} is no JSON, and browsers refuse it")
