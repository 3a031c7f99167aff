from __future__ import annotations

import pytest
from detectron2.data import DatasetCatalog, MetadataCatalog
from pycocotools import mask as coco_mask

from recseg_d2.cli.random_proposals import main
from recseg_d2.data.datasets import register_synthetic_scenes
from recseg_d2.data.proposal_files import load_proposals
from recseg_d2.errors import UserError


@pytest.fixture
def few_scenes():
    """Two registered scenes."""
    name = "random_proposals_test_scenes"
    register_synthetic_scenes(name, num_images=2, first_seed=50, size=48)
    yield name
    DatasetCatalog.remove(name)
    MetadataCatalog.remove(name)


def run(name, folder, *more):
    assert main(["--dataset", name, "--output", str(folder), *more]) == 0
    return load_proposals(folder / f"proposals_{name}.json")


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
