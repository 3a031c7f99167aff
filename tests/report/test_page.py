"""The page is whole, and its numbers are those of ``recseg evaluate`` and ``recseg analyze``."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from analysis.saved_runs import save_metrics

from recseg_d2.analysis import errors
from recseg_d2.analysis.options import AnalysisOptions
from recseg_d2.analysis.predictions import AnalysisInput
from recseg_d2.analysis.run_folder import open_runs
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.errors import UserError
from recseg_d2.evaluation.folders import score_folders

pytest.importorskip("plotly", reason="needs plotly (extra: report)")

from report.pages import (
    BAD,
    GOOD,
    HEIGHT,
    ODD,
    TRUTH,
    WIDTH,
    predict,
    rectangle,
    report,
    write_data,
)


@pytest.fixture
def good(tmp_path):
    return predict(tmp_path / "good", GOOD)


@pytest.fixture
def bad(tmp_path):
    return predict(tmp_path / "bad", BAD)


def write_labels(folder, found):
    """The same predictions as label maps."""
    folder.mkdir()
    for name, objects in found.items():
        labels = np.zeros((HEIGHT, WIDTH), np.uint8)
        for label, (box, _, _) in enumerate(objects, start=1):
            labels[rectangle(box)] = label
        write_label_map(folder / f"{name}.png", labels)
    return folder


@pytest.mark.parametrize("names", [("good",), ("good", "bad"), ("good", "bad", "again")])
def test_scores_are_those_of_evaluate(names, folder, dataset, tmp_path):
    found = {"good": GOOD, "bad": BAD, "again": GOOD}
    runs = [predict(tmp_path / name, found[name]) for name in names]
    page = report(tmp_path / "out", *runs, dataset=dataset)
    expected = []
    scored = [
        score_folders(write_labels(tmp_path / f"{name}_labels", found[name]), folder / "labels")
        for name in names
    ]
    for key in ("SBD", "DiC", "absDiC", "FGBGDice"):
        for scores in scored:
            defined = [v for n in scores.images if not math.isnan(v := scores.of_image(n)[key])]
            error = np.std(defined, ddof=1) / math.sqrt(len(defined))
            expected += [scores.results()[key], error]
    assert page.values["scores"] == pytest.approx(expected)
    assert [run["label"] for run in page.data["runs"]] == list(names)
    of_image = page.data["images"][0]["runs"][0]["numbers"]
    name = page.data["images"][0]["name"].removesuffix(".png")
    assert of_image == pytest.approx(
        {k: None if math.isnan(v) else v for k, v in scored[0].of_image(name).items()}
    )


def test_tables_are_those_of_analyze(good, bad, dataset, tmp_path):
    page = report(tmp_path / "out", good, bad, dataset=dataset)
    data = AnalysisInput(open_runs([good, bad]), AnalysisOptions(dataset=dataset))
    tables = errors.analyse(data).tables
    values = [v for rows in tables.values() for row in rows for v in row.values()]
    expected = [v for v in values if isinstance(v, int | float)]
    np.testing.assert_equal(page.values["errors"], expected)


def test_the_page_needs_nothing_beside_it(good, dataset, tmp_path):
    page = report(tmp_path / "out", good, dataset=dataset)
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["report.html"]
    assert all(link.startswith("#") for link in page.links)
    assert "link" not in page.tags
    assert page.tags.count("script") == 3


def test_each_image_and_its_objects(good, bad, dataset, tmp_path):
    page = report(tmp_path / "out", good, bad, dataset=dataset)
    images = {image["name"]: image for image in page.data["images"]}
    assert images.keys() == {f"{name}.png" for name in TRUTH}
    plain = images["plain.png"]
    assert plain["size"] == [HEIGHT, WIDTH]
    assert plain["truth"]["areas"] == [100, 200, 2]
    of_good, of_bad = plain["runs"]
    kinds = [kind["name"] for kind in page.data["kinds"]]
    assert [kinds[k] for k in of_good["kinds"]] == ["TP", "TP"]
    assert [kinds[k] for k in of_bad["kinds"]] == ["Loc", "Bg"]
    assert of_good["iou"] == [1, 1]
    assert (of_good["partners"], of_good["found"]) == ([1, 0, -1], [True, True, False])
    assert of_good["windows"] is None
    empty = images["empty.png"]
    assert empty["truth"]["masks"] == empty["runs"][0]["masks"] == []
    assert empty["runs"][0]["numbers"]["FGBGDice"] is None
    occur = {kind["name"] for kind in page.data["kinds"] if kind["occurs"]}
    assert occur == {"TP", "Loc", "Bg", "missed"}


def test_names_are_texts_and_never_tags(dataset, tmp_path):
    run = predict(tmp_path / "<b>run</b> & 'co' \"x\"", GOOD)
    page = report(tmp_path / "out", run, dataset=dataset, title="<script>alert(1)</script>")
    assert page.tags.count("script") == 3
    assert "b" not in page.tags
    assert "<script>alert(1)</script>" in page.texts
    assert page.data["runs"][0]["label"] == run.name
    assert f"{ODD}.png" in {image["name"] for image in page.data["images"]}
    names = {trace.get("name", "") for figure in page.data["figures"] for trace in figure["data"]}
    assert not any("<" in name for name in names)


def test_without_truth_the_images_are_there_without_scores(good, folder, tmp_path):
    page = report(tmp_path / "out", good, input=(str(folder / "images"),))
    assert "scores" not in page.values
    assert page.data["metrics"] == []
    assert {image["truth"] for image in page.data["images"]} == {None}
    plain = next(image for image in page.data["images"] if image["name"] == "plain.png")
    assert plain["runs"][0]["kinds"] is None
    assert plain["runs"][0]["scores"] == [0.9, 0.8]
    assert any("predictions are of no data set" in text for text in page.texts)


def test_images_that_are_not_found_are_named(good, tmp_path):
    with pytest.raises(UserError, match=r"good: there is no file plain\.png, .*--input"):
        report(tmp_path / "out", good)
    with pytest.raises(UserError, match="no file or folder nowhere"):
        report(tmp_path / "out", good, input=("nowhere",))


def test_images_of_another_size_are_refused(good, folder, tmp_path):
    from PIL import Image

    (tmp_path / "small").mkdir()
    for path in (folder / "images").iterdir():
        Image.open(path).resize((8, 8)).save(tmp_path / "small" / path.name)
    with pytest.raises(UserError, match=r"found predictions of 40x20 pixels, expected .*8x8"):
        report(tmp_path / "out", good, input=(str(tmp_path / "small"),))


def test_curves_alone_make_a_page(tmp_path):
    lines = [{"iteration": i, "total_loss": 2.0 - i, "loss_a": 1.0} for i in range(2)]
    page = report(tmp_path / "out", save_metrics(tmp_path / "run", lines))
    titles = [figure["layout"]["title"]["text"] for figure in page.data["figures"]]
    assert titles == ["loss_a by iteration", "total_loss by iteration"]
    assert page.data["images"] == []
    assert "dialog" not in page.tags


def test_nothing_to_show_is_refused(tmp_path):
    (tmp_path / "run").mkdir()
    with pytest.raises(UserError, match=r"curves: .*has no metrics\.json"):
        report(tmp_path / "out", tmp_path / "run")


def test_no_object_anywhere(tmp_path):
    folder = write_data(tmp_path / "data", {"a": [], "b": []})
    run = predict(tmp_path / "run", {"a": [], "b": []})
    page = report(tmp_path / "out", run, input=(str(folder / "images"),))
    assert page.data["sizeLimits"] == []
    assert [image["runs"][0]["masks"] for image in page.data["images"]] == [[], []]


def test_the_same_input_makes_the_same_page(good, dataset, tmp_path):
    pages = [report(tmp_path / out, good, dataset=dataset).path for out in ("one", "two")]
    assert pages[0].read_bytes() == pages[1].read_bytes()


@pytest.mark.parametrize(("options", "message"), [
    ({"max_images": -1}, "--max-images is -1; expected 0 or more"),
    ({"side": 10}, "--side is 10; expected 32 or more"),
])  # fmt: skip
def test_numbers_out_of_range_are_refused(options, message, tmp_path):
    with pytest.raises(UserError, match=message):
        report(tmp_path, tmp_path, **options)


def test_every_label_of_the_tables_has_its_colour(good, dataset, tmp_path):
    folder = good / "inference" / "x"
    folder.mkdir(parents=True)
    averages = {"AR@10": 0.5}
    curve = {"iou": [0.5, 0.6], "10": [1.0, 0.5]}
    for name in ("one", "two"):  # of proposals on two data sets
        content = {"coco": averages, "continuous": averages, "curve": curve}
        (folder / f"average_recall_{name}.json").write_text(json.dumps(content))
    page = report(tmp_path / "out", good, dataset=dataset)
    recall = next(f for f in page.data["figures"] if "recall" in f["layout"]["title"]["text"])
    assert [line["name"] for line in recall["data"]] == ["good, one", "good, two"]
    assert len({line["line"]["color"] for line in recall["data"]}) == 2
