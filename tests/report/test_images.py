"""Which images are in the page, and how their pixels and masks are stored."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from analysis.saved_runs import predictions
from PIL import Image
from report.pages import BAD, GOOD, HEIGHT, LEFT, TRUTH, WIDTH, predict, rectangle

from recseg_d2 import rle
from recseg_d2.metrics import METRICS
from recseg_d2.report.gathering import badness, choose, gather
from recseg_d2.report.images import data_uri, describe_image, size_limits
from recseg_d2.report.options import ReportOptions


def described(runs, side=512):
    images = gather(runs, ReportOptions())
    return {
        one["name"]: one
        for one in (describe_image(i, runs, [None] * len(runs), side) for i in images)
    }


def decoded(counts, size):
    return rle.decode({"size": size, "counts": counts})


def test_masks_are_the_saved_ones(dataset, tmp_path):
    (run,) = predictions(predict(tmp_path / "run", GOOD), dataset=dataset)
    plain = described([run])["plain.png"]
    first, second = (decoded(m, plain["size"]) for m in plain["runs"][0]["masks"])
    assert (second == rectangle(LEFT)).all()
    assert first.sum() == plain["runs"][0]["areas"][0] == 200
    true = [decoded(m, plain["size"]) for m in plain["truth"]["masks"]]
    assert (sum(true) == sum(rectangle(box).astype(int) for box in TRUTH["plain"])).all()


def test_large_images_shrink_with_their_masks_and_no_object_vanishes(dataset, tmp_path):
    (run,) = predictions(predict(tmp_path / "run", GOOD), dataset=dataset)
    plain = described([run], side=WIDTH // 4)["plain.png"]
    assert plain["size"] == (HEIGHT // 4, WIDTH // 4)
    picture = Image.open(io.BytesIO(base64.b64decode(plain["picture"].partition(",")[2])))
    assert picture.size == (WIDTH // 4, HEIGHT // 4)
    masks = [decoded(m, plain["size"]) for m in plain["truth"]["masks"]]
    assert all(mask.any() for mask in masks)
    assert plain["truth"]["areas"] == [100, 200, 2]  # of the image itself


def test_pictures_are_close_to_the_image():
    pixels = np.zeros((16, 24, 3), np.uint8)
    pixels[4:12, 6:18] = (200, 60, 20)
    kind, _, text = data_uri(pixels).partition(";base64,")
    assert kind == "data:image/webp"
    again = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"))
    assert np.abs(again.astype(int) - pixels).mean() < 6


def test_runs_on_the_same_files_share_their_images(dataset, tmp_path):
    partial = {"plain": BAD["plain"]}
    runs = predictions(
        predict(tmp_path / "a", GOOD), predict(tmp_path / "b", partial), dataset=dataset
    )
    found = described(runs)
    assert len(found) == len(TRUTH)
    assert [run is None for run in found["plain.png"]["runs"]] == [False, False]
    assert [run is None for run in found["empty.png"]["runs"]] == [False, True]


def test_of_too_many_images_the_best_and_the_worst_are_kept(dataset, tmp_path):
    runs = predictions(predict(tmp_path / "run", BAD | {"empty": []}), dataset=dataset)
    images = gather(runs, ReportOptions())
    assert choose(images, runs, 3) == images
    sbd = [runs[0].scores.of_image(name)["SBD"] for name in runs[0].results.images]
    assert sbd.index(max(sbd)) == 0  # "plain", the others have 0
    kept = choose(images, runs, 2)
    assert [image.file for image in kept] == [images[0].file, images[2].file]
    assert choose(images, runs, 0) == []


@pytest.mark.parametrize(
    ("name", "from_best_to_worst"),
    [("sbd", (100.0, 50.0, 0.0)), ("avgfn", (0.0, 1.0, 7.0)), ("dic", (0.0, -1.0, 2.0))],
)
def test_what_is_worse_depends_on_the_metric(name, from_best_to_worst):
    values = [badness(METRICS[name][0], value) for value in from_best_to_worst]
    assert values == sorted(values)
    assert len(set(values)) == 3


def test_thirds_of_sizes():
    image = {"truth": {"areas": [1, 2, 30, 40, 500, 600]}, "runs": [{"areas": [9]}]}
    small, large = size_limits([image])
    assert 2 <= small < 30
    assert 40 <= large < 500
    assert size_limits([{"truth": None, "runs": [{"areas": [9]}, None]}]) == [9, 9]
    assert size_limits([]) == []
