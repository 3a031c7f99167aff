"""Whatever a file holds, it is read right or refused in a sentence.

A few hundred examples run with the suite; many more by

    RECSEG_D2_FUZZ=10000 pytest tests/fuzz
"""

from __future__ import annotations

import io
import os
import pickle
import shutil
import warnings
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tifffile
import torch
from fuzz.strategies import HEIGHT, WIDTH, as_json, coco_contents, damaged, mask_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as nps
from PIL import Image
from pycocotools import mask as coco_mask

from recseg_d2.config import load_config
from recseg_d2.data.annotations import decode_segmentation
from recseg_d2.data.io.images import probe_image, read_bgr, read_image
from recseg_d2.data.io.label_maps import read_label_map
from recseg_d2.data.sources.own_data import open_own_data
from recseg_d2.data.validation import validate_dicts
from recseg_d2.engine.weight_files import SafeCheckpointer, read_checkpoint
from recseg_d2.errors import UserError
from recseg_d2.evaluation.folders import score_folders

EXAMPLES = int(os.environ.get("RECSEG_D2_FUZZ", "300"))
TESTS = 6  # that share them

fuzz = settings(
    max_examples=max(1, EXAMPLES // TESTS),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)


@pytest.fixture
def folder(tmp_path):
    """With two images."""
    (tmp_path / "images").mkdir()
    for n in range(2):
        Image.new("RGB", (WIDTH, HEIGHT), (n, 2, 3)).save(tmp_path / "images" / f"a{n}.png")
    return tmp_path


def anew(path: Path) -> Path:
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir()
    return path


def attempt(read, name):
    """What reading gives, or None where it is refused by name."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return read()
    except UserError as error:
        message = str(error)
    assert name in message
    return None


@fuzz
@given(contents=coco_contents(), data=st.data())
def test_coco_files(folder, contents, data):
    path = folder / "instances.json"
    path.write_bytes(data.draw(damaged(as_json(contents[0]))))

    def check():
        source = open_own_data("fuzz", path)
        records, _ = source.survey()
        classes = source.metadata()["thing_classes"]
        for problem in validate_dicts(records, classes).problems:
            str(problem).encode()  # can be printed
        return source(), classes

    records, classes = attempt(check, str(folder)) or ((), ())
    for record in records:
        size = record["height"], record["width"]
        for annotation in record["annotations"]:
            assert decode_segmentation(annotation["segmentation"], size, "fuzz").shape == size
            assert 0 <= annotation["category_id"] < len(classes)


@fuzz
@given(contents=coco_contents())
def test_masks_that_nobody_changed_are_those_that_were_written(folder, contents):
    changed, before = contents
    path = folder / "instances.json"
    path.write_bytes(as_json(changed))
    records = attempt(open_own_data("fuzz", path), str(folder)) if _opens(path) else None
    if records is None or changed.get("categories") != before["categories"]:
        return
    by_id = {record["image_id"]: record for record in records}
    for entry in before["annotations"]:
        image = before["images"][entry["image_id"]]
        if entry in changed["annotations"] and image in changed["images"]:
            size = image["height"], image["width"]
            masks = [_reference(a["segmentation"], size) for a in by_id[image["id"]]["annotations"]]
            expected = mask_of(entry["id"] % 2)
            assert any(np.array_equal(mask, expected) for mask in masks)


def _opens(path):
    return attempt(lambda: open_own_data("fuzz", path), str(path)) is not None


def _reference(segmentation, size):
    """Drawn by pycocotools."""
    if isinstance(segmentation, list):
        segmentation = coco_mask.merge(coco_mask.frPyObjects(segmentation, *size))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return coco_mask.decode(segmentation).astype(bool)


LABELS = nps.arrays(
    st.sampled_from(["uint8", "uint16", "int32", "int64", "uint64", "float32", "float64", "bool"]),
    st.sampled_from([(HEIGHT, WIDTH), (1, 1), (2, HEIGHT, WIDTH), (HEIGHT, WIDTH, 3)]),
)


# how tifffile will store arrays of three channels is not what is tested
@pytest.mark.filterwarnings("ignore:.*are stored as RGB:DeprecationWarning")
@fuzz
@given(labels=LABELS, ending=st.sampled_from(["tif", "npy"]), data=st.data())
def test_label_maps(tmp_path, labels, ending, data):
    buffer = io.BytesIO()
    if ending == "npy":
        np.save(buffer, labels)
    else:
        tifffile.imwrite(buffer, labels)
    whole = buffer.getvalue()
    content = data.draw(damaged(whole))
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    found = attempt(lambda: read_label_map(path), f"a.{ending}")
    if found is None:
        return
    assert found.dtype == np.int32
    assert found.min(initial=0) >= 0
    if content == whole and labels.ndim == 2:
        np.testing.assert_array_equal(found, labels)


@fuzz
@given(labels=LABELS, prediction=LABELS)
def test_scores_of_any_two_label_maps(tmp_path, labels, prediction):
    for name, array in (("gt", labels), ("pred", prediction)):
        np.save(anew(tmp_path / name) / "a.npy", array)
    folders = tmp_path / "pred", tmp_path / "gt"
    scores = attempt(lambda: score_folders(*folders, ["dic", "sbd"]).results(), "a.npy")
    if scores is None:
        return
    assert 0 <= scores["SBD"] <= 100


# how tifffile will store arrays of three channels is not what is tested
@pytest.mark.filterwarnings("ignore:.*are stored as RGB:DeprecationWarning")
@fuzz
@given(
    pixels=nps.arrays(
        st.sampled_from(["uint8", "uint16", "float32", "int32", "uint64", "float64"]),
        st.sampled_from([(5, 7), (5, 7, 3), (3, 5, 7), (5, 7, 4), (1, 1), (2, 3, 5, 7)]),
    ),
    ending=st.sampled_from(["png", "jpg", "tif", "bmp", "webp"]),
    data=st.data(),
)
def test_images(tmp_path, pixels, ending, data):
    buffer = io.BytesIO()
    if ending == "tif":
        tifffile.imwrite(buffer, pixels)
    else:
        shown = pixels.view(np.uint8).reshape(len(pixels), -1)
        Image.fromarray(shown).convert("RGB").save(buffer, {"jpg": "jpeg"}.get(ending, ending))
    whole = buffer.getvalue()
    content = data.draw(damaged(whole))
    path = tmp_path / f"a.{ending}"
    path.write_bytes(content)
    for read in (read_image, read_bgr, probe_image, lambda p: probe_image(p, decode=False)):
        found = attempt(partial(read, path), f"a.{ending}")
        if read is read_image and ending == "tif" and content == whole and pixels.ndim == 2:
            np.testing.assert_array_equal(found[..., 0], pixels)


STATES = st.dictionaries(
    st.sampled_from(["0.weight", "0.bias", "x", "module.0.weight", "model", "state_dict", "epoch"]),
    st.one_of(
        st.integers(),
        st.text(max_size=3),
        st.none(),
        st.lists(st.integers(), max_size=2),
        st.sampled_from([(2, 3), (3,), (0,), ()]).map(torch.ones),
        st.sampled_from([(2, 3), (3,)]).map(np.ones),
        st.dictionaries(
            st.sampled_from(["0.weight", "0.bias"]),
            st.sampled_from([(3, 2), (3,)]).map(torch.ones),
        ),
    ),
    max_size=4,
)


@fuzz
@given(
    state=STATES | st.lists(st.integers(), max_size=2) | st.text(max_size=3),
    ending=st.sampled_from(["pth", "pkl"]),
    data=st.data(),
)
def test_checkpoints(tmp_path, state, ending, data):
    buffer = io.BytesIO()
    if ending == "pkl":
        pickle.dump(state, buffer)
    else:
        torch.save(state, buffer)
    path = tmp_path / f"a.{ending}"
    path.write_bytes(data.draw(damaged(buffer.getvalue())))
    model = torch.nn.Sequential(torch.nn.Linear(2, 3))
    for read in (read_checkpoint, SafeCheckpointer(model).load):
        attempt(partial(read, str(path)), f"a.{ending}")


@settings(fuzz, max_examples=max(1, EXAMPLES // (2 * TESTS)))
@given(data=st.data())
def test_configs(tmp_path, data):
    text = "MODEL:\n  META_ARCHITECTURE: ConvLSTMSemInstSeg\nSOLVER: {MAX_ITER: 3, BASE_LR: 0.1}\n"
    path = tmp_path / "a.yaml"
    path.write_bytes(data.draw(damaged(text.encode())))
    attempt(lambda: load_config(path), "a.yaml")
