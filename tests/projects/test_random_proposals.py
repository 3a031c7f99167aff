from __future__ import annotations

import numpy as np
import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from pycocotools import mask as coco_mask
from warm_python import run_python

from projects.instance_fcn.random_proposals import BoxRange, box_masks, main, random_boxes
from recseg_d2.data.coco_results import load_results
from recseg_d2.data.sources.synthetic import Scenes
from recseg_d2.errors import UserError

SHAPE = (60, 100)


@pytest.fixture
def few_scenes():
    """Two registered scenes."""
    name = "random_proposals_test_scenes"
    Scenes(name, num_images=2, first_seed=50, size=48).register()
    yield name
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


def run(name, folder, *more):
    assert main(["--dataset", name, "--output", str(folder), *more]) == 0
    return load_results(folder / f"proposals_{name}.json").entries


def test_boxes_for_every_image(few_scenes, tmp_path, capsys):
    found = run(few_scenes, tmp_path / "new", "--number", "7")
    assert "14 proposals" in capsys.readouterr().out
    assert {image: len(entries) for image, entries in found.items()} == {50: 7, 51: 7}
    masks = [coco_mask.decode(entry["segmentation"]) for entry in found[50]]
    for mask, entry in zip(masks, found[50], strict=True):
        assert mask.shape == (48, 48)
        _, _, width, height = entry["bbox"]
        assert mask.sum() == width * height  # filled
    assert found[50] != found[51]


def test_an_images_boxes_depend_on_seed_and_image_alone(few_scenes, tmp_path):
    first, again = run(few_scenes, tmp_path), run(few_scenes, tmp_path)
    assert first == again
    assert len(first[50]) == 300
    assert run(few_scenes, tmp_path, "--seed", "1") != first


def test_sizes_can_be_chosen(few_scenes, tmp_path):
    sizes = ("--smallest", "0.5", "--largest", "0.5", "--aspect", "1")
    found = run(few_scenes, tmp_path, *sizes)
    assert {tuple(entry["bbox"][2:]) for entry in found[51]} == {(24.0, 24.0)}


def test_what_cannot_be_done_is_named(few_scenes, tmp_path):
    with pytest.raises(UserError, match="--number is 0"):
        main(["--dataset", few_scenes, "--output", str(tmp_path), "--number", "0"])
    with pytest.raises(UserError, match=r"'unknown', expected a registered data set: .*scenes"):
        main(["--dataset", "unknown", "--output", str(tmp_path)])


def draw(number=4000, given=BoxRange(), shape=SHAPE, seed=0):  # noqa: B008  (frozen)
    return random_boxes(np.random.default_rng(seed), shape, number, given)


def test_boxes_lie_in_the_image_and_reach_its_border():
    boxes = draw()
    assert boxes.dtype == np.int64
    assert (boxes[:, :2] >= 0).all()
    assert (boxes[:, 2:] <= [100, 60]).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    assert boxes[:, :2].min(axis=0).tolist() == [0, 0]
    assert boxes[:, 2:].max(axis=0).tolist() == [100, 60]


def test_sizes_are_log_uniform_and_keep_to_the_aspect():
    given = BoxRange(0.2, 0.5, 1.5)
    size = np.diff(draw(given=given, shape=(1000, 2000)).reshape(-1, 2, 2), axis=1)[:, 0]
    mean = np.sqrt(size.prod(axis=1))
    assert mean.min() >= 199
    assert mean.max() <= 501
    assert np.median(mean) == pytest.approx(np.sqrt(200 * 500), rel=0.05)
    aspect = size[:, 0] / size[:, 1]
    assert 1 / 1.52 < aspect.min() < 0.7
    assert 1.4 < aspect.max() < 1.52


def test_boxes_larger_than_the_image_are_cut_and_none_is_empty():
    boxes = draw(given=BoxRange(0.9, 1.0, 16.0), shape=(5, 5))
    size = boxes[:, 2:] - boxes[:, :2]
    assert size.max() == 5
    assert size.min() == 1


def test_a_seed_repeats_the_draw():
    np.testing.assert_array_equal(draw(5), draw(5))
    assert (draw(5) != draw(5, seed=1)).any()


def test_masks_are_filled_boxes():
    masks = box_masks(np.array([[1, 0, 3, 2], [0, 2, 4, 3]]), (3, 4))
    assert masks.dtype == bool
    expected = [
        [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]],
        [[0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1]],
    ]
    np.testing.assert_array_equal(masks, np.array(expected, bool))
    assert box_masks(np.zeros((0, 4), np.int64), (3, 4)).shape == (0, 3, 4)


@pytest.mark.parametrize("bad", [(0, 0.5, 2), (0.6, 0.5, 2), (0.1, 1.5, 2), (0.1, 0.5, 0.5)])
def test_impossible_ranges_are_refused(bad):
    with pytest.raises(UserError, match="expected 0 < smallest <= largest <= 1 <= aspect"):
        BoxRange(*bad)


def test_it_runs_as_a_script(root, tool_env, tmp_path):
    script = root / "projects" / "instance_fcn" / "random_proposals.py"
    words = [script, "--dataset", "unknown", "--output", tmp_path]
    result = run_python(words, tool_env)
    assert result.returncode == 2
    assert "\nerror: --dataset: found 'unknown'" in f"\n{result.stderr}"  # after warnings of torch
