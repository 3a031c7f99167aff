from __future__ import annotations

import numpy as np
import pytest
from analysis.saved_runs import HEIGHT, WIDTH, data, save_run, standard_dict
from PIL import Image

from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.analysis.sequences import SIDE, analyse, best_examples, draw_example
from recseg_d2.errors import UserError

LOW_RIGHT, LOW_LEFT, HIGH_LEFT = (14, 30, 20, 40), (14, 0, 20, 9), (0, 0, 6, 8)
ROW = [LOW_RIGHT, (14, 20, 20, 28), (14, 10, 20, 18), (14, 0, 20, 8)]  # the first is the largest
IMAGES = {
    "falling": [LOW_RIGHT, LOW_LEFT, HIGH_LEFT],
    "rising": [HIGH_LEFT, LOW_LEFT, LOW_RIGHT],
    "row": ROW,
    "pair": [LOW_RIGHT, LOW_LEFT],
    "none": [],
}


@pytest.fixture
def folder(register, tmp_path):
    """A run with predictions on images of four sequences and an empty one."""
    records = []
    for name in IMAGES:
        path = tmp_path / f"{name}.png"
        Image.fromarray(np.zeros((HEIGHT, WIDTH, 3), np.uint8)).save(path)
        records.append({**standard_dict(name, []), "file_name": str(path)})
    found = {name: [(box, 0, 0.9) for box in boxes] for name, boxes in IMAGES.items()}
    return save_run(tmp_path / "run", register(records), found)


def test_the_images_that_follow_each_strategy_most_by_hand(folder, tmp_path):
    rows = analyse(data(folder, examples=2)).tables["sequences"]
    assert [(r["sorting"], r["rank"], r["image"], r["tau"]) for r in rows] == [
        ("r2l", 1, "row", 1.0),  # of two that follow it wholly, that with more objects
        ("r2l", 2, "falling", 1.0),
        ("l2r", 1, "rising", 1.0),
        ("l2r", 2, "row", -1.0),
        ("b2t", 1, "falling", pytest.approx(2 / 3)),  # one of three pairs is level
        ("b2t", 2, "row", 0.0),
        ("t2b", 1, "rising", pytest.approx(2 / 3)),
        ("t2b", 2, "row", 0.0),
        ("l2s", 1, "falling", 1.0),
        ("l2s", 2, "row", 0.5),  # three of six pairs are of equal areas
        ("s2l", 1, "rising", 1.0),
        ("s2l", 2, "row", -0.5),
    ]
    assert {row["run"] for row in rows} == {"run"}
    assert (rows[0]["objects"], rows[0]["file"]) == (4, str(tmp_path / "row.png"))


def test_images_with_fewer_objects_count_where_asked_for(folder):
    rows = analyse(data(folder, min_found=2)).tables["sequences"]
    assert [row["image"] for row in rows if row["sorting"] == "r2l"] == [
        "row", "falling", "pair", "rising"
    ]  # fmt: skip
    with pytest.raises(MissingResultsError, match="in no image 5 found objects"):
        analyse(data(folder, min_found=5))


def test_models_without_an_order_and_unknown_data_are_left_out(folder, tmp_path):
    boxes = {"row": [(box, 0, 0.9) for box in ROW]}
    save_run(tmp_path / "at_once", "any", boxes, ordered=False)
    save_run(tmp_path / "elsewhere", "not_here", boxes)
    result = analyse(data(folder, tmp_path / "at_once", tmp_path / "elsewhere"))
    assert {row["run"] for row in result.tables["sequences"]} == {"run"}
    at_once, elsewhere = result.notes
    assert "at_once: its model finds all objects at once" in at_once
    assert "elsewhere: predictions are of the data set 'not_here'" in elsewhere


def test_objects_are_numbered_at_their_centres(folder):
    figure = pytest.importorskip("matplotlib.figure", reason="extra: plots").Figure()
    (predictions,) = data(folder).saved[0]
    axes = figure.subplots()
    draw_example(best_examples(predictions)["b2t"][0], axes)
    assert axes.get_title() == "falling: tau 0.67"
    scale = SIDE / WIDTH
    assert [(t.get_text(), *t.get_position()) for t in axes.texts] == [
        ("1", 35 * scale - 0.5, 17 * scale - 0.5),
        ("2", 4.5 * scale - 0.5, 17 * scale - 0.5),
        ("3", 4 * scale - 0.5, 3 * scale - 0.5),
    ]
    colors = axes.images[0].get_array()[[136, 136, 24], [280, 36, 32]]
    assert len(np.unique(colors, axis=0)) == 3


def test_an_image_of_another_size_is_refused_by_name(folder, tmp_path):
    Image.fromarray(np.zeros((HEIGHT, 2 * WIDTH, 3), np.uint8)).save(tmp_path / "row.png")
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    with pytest.raises(UserError, match=r"row.png: found predictions of 40x20 pixels"):
        analyse(data(folder)).write(tmp_path / "out")


def test_a_figure_of_several_runs_is_written(folder, register, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    record = {**standard_dict("row", []), "file_name": str(tmp_path / "row.png")}
    boxes = {"row": [(box, 0, 0.9) for box in ROW]}
    other = save_run(tmp_path / "other", register([record]), boxes)
    written = {path.name for path in analyse(data(folder, other)).write(tmp_path / "out")}
    assert written == {"sequences.csv", "sequences.json", "sequences.png"}
