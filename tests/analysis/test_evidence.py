from __future__ import annotations

import numpy as np
import pytest
from analysis.saved_runs import predictions, rectangle, save_run, standard_dict

from recseg_d2 import rle
from recseg_d2.analysis.run_folder import MissingResultsError
from recseg_d2.errors import UserError

LEFT, RIGHT = (0, 0, 10, 10), (0, 20, 10, 40)


def literal_iou(a, b) -> float:
    a, b = rectangle(a), rectangle(b)
    return (a & b).sum() / (a | b).sum()


def test_an_image_beside_its_truth(register, tmp_path):
    name = register([standard_dict(7, [(RIGHT, 1), (LEFT, 0)])])
    shifted = (2, 1, 10, 12)
    save_run(tmp_path, name, {7: [(shifted, 0, 0.9), (RIGHT, 1, 0.5)]})
    (found_in_run,) = predictions(tmp_path)
    (evidence,) = found_in_run.evidence
    found = evidence.found
    assert found.size == (20, 40)
    assert found.areas.tolist() == [88, 200]
    np.testing.assert_allclose(found.centers, [[6.0, 6.5], [5.0, 30.0]])
    assert (found.classes.tolist(), found.steps.tolist()) == ([0, 1], [0, 1])
    order = np.argsort(evidence.true_classes)  # LEFT is of class 0
    assert evidence.true_areas[order].tolist() == [100, 200]
    expected = [[literal_iou(shifted, LEFT), 0], [0, 1]]
    np.testing.assert_allclose(evidence.iou[:, order], expected)
    assert found_in_run.classes == ["person", "horse"]


@pytest.mark.parametrize("how", ["crowd", "unknown"])
def test_crowds_and_the_unknown_are_no_objects_but_ignored_regions(register, tmp_path, how):
    record = standard_dict(7, [(LEFT, 0)], crowds=[RIGHT] if how == "crowd" else [])
    if how == "unknown":
        record["ignored"] = rle.encode(rectangle(RIGHT))
    name = register([record])
    half_in = (0, 30, 20, 40)
    save_run(tmp_path, name, {7: [(LEFT, 0, 0.9), (half_in, 0, 0.8)]})
    (evidence,) = predictions(tmp_path)[0].evidence
    assert evidence.iou.shape == (2, 1)
    np.testing.assert_allclose(evidence.ignored, [0.0, 0.5])


@pytest.mark.parametrize(
    ("objects", "found"), [([], [(LEFT, 0, 0.9)]), ([(LEFT, 0)], []), ([], [])]
)
def test_nothing_there_or_nothing_found(register, tmp_path, objects, found):
    save_run(tmp_path, register([standard_dict(7, objects)]), {7: found})
    (evidence,) = predictions(tmp_path)[0].evidence
    assert evidence.iou.shape == (len(found), len(objects))
    assert evidence.found.centers.shape == (len(found), 2)


def test_low_scores_empty_masks_and_classes_can_be_left_out(register, tmp_path):
    name = register([standard_dict(7, [(RIGHT, 1)])])
    empty = (0, 0, 0, 0)
    save_run(tmp_path, name, {7: [(LEFT, 1, 0.9), (empty, 0, 0.8), (RIGHT, 0, 0.2)]})
    (found_in_run,) = predictions(tmp_path)
    assert found_in_run.found[0].steps.tolist() == [0, 2]
    (found_in_run,) = predictions(tmp_path, min_score=0.5, class_agnostic=True)
    assert found_in_run.found[0].classes.tolist() == [0]
    assert found_in_run.evidence[0].true_classes.tolist() == [0]
    assert found_in_run.classes == ["object"]


def test_models_without_an_order_keep_the_files(register, tmp_path):
    name = register([standard_dict(7, [])])
    save_run(tmp_path, name, {7: [(RIGHT, 0, 0.1), (LEFT, 1, 0.9)]}, ordered=False)
    found = predictions(tmp_path)[0].found[0]
    assert not found.ordered
    assert found.classes.tolist() == [0, 1]


def test_classes_that_the_file_does_not_name_get_numbers(register, tmp_path):
    save_run(tmp_path, register([standard_dict(7, [(LEFT, 3)])]), {7: [(RIGHT, 2, 0.9)]})
    assert predictions(tmp_path)[0].classes == ["person", "horse", "class 2", "class 3"]


def test_data_that_do_not_fit_are_refused(register, tmp_path):
    name = register([{**standard_dict(7, []), "height": 21}])
    (found_in_run,) = predictions(save_run(tmp_path / "size", name, {7: [(LEFT, 0, 0.9)]}))
    with pytest.raises(UserError, match=r"found predictions of 40x20 pixels, .* 40x21"):
        _ = found_in_run.evidence
    (found_in_run,) = predictions(save_run(tmp_path / "id", name, {8: []}))
    with pytest.raises(UserError, match=r"image_id 8"):
        _ = found_in_run.evidence
    (found_in_run,) = predictions(save_run(tmp_path / "data", "not_registered", {8: []}))
    with pytest.raises(MissingResultsError, match=r"not_registered.*--val-data"):
        _ = found_in_run.evidence


def test_several_data_sets_of_a_run_are_told_apart(register, tmp_path):
    names = sorted(register([standard_dict(7, [])]) for _ in range(2))
    for name in names:
        save_run(tmp_path / "run", name, {7: []})
    assert [s.label for s in predictions(tmp_path / "run")] == [f"run, {name}" for name in names]
