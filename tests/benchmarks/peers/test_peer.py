from __future__ import annotations

import json
import time

import numpy as np
import pytest
from PIL import Image

from benchmarks.peers import classical
from benchmarks.peers.cellpose import FULL_SCHEDULE, plan, same_size
from benchmarks.peers.mask_rcnn import CROP, draw_sample, to_target
from benchmarks.peers.peer import (
    CpuClock,
    fit_steps,
    main,
    paint,
    predict_with,
    sweep,
    warm_then_cosine,
)
from benchmarks.peers.stardist import augment, patch_size
from benchmarks.peers.yolo import prepare, training_size


def test_steps_fit_into_the_time_less_the_margin():
    assert fit_steps(100, 2, margin=0.1) == 45
    assert fit_steps(100, 0.3, margin=0) == 333
    assert fit_steps(1, 5, margin=0) == 1


def test_the_clock_counts_cpu_time_and_notes_the_wall(monkeypatch):
    cpu, wall = iter([10.0, 40.0, 70.0, 100.0, 5.0, 35.0]), iter([0.0, 600.0, 0.0])
    monkeypatch.setattr(time, "process_time", lambda: next(cpu))
    monkeypatch.setattr(time, "perf_counter", lambda: next(wall))
    clock = CpuClock(minutes=1)
    assert clock.progress == 0.5
    assert clock.progress == 1
    assert clock.record() == {"cpu_minutes": 1.5, "wall_minutes": 10}
    clock.start()
    assert clock.seconds == 30


def test_the_schedule_rises_and_ends_with_the_time():
    assert warm_then_cosine(0) == 0
    assert warm_then_cosine(0.05) == 1
    assert warm_then_cosine(0.525) == pytest.approx(0.505)
    assert warm_then_cosine(1) == pytest.approx(0.01)
    falling = [warm_then_cosine(x) for x in np.linspace(0.05, 1, 50)]
    assert (np.diff(falling) < 0).all()


def test_cellpose_plans_a_whole_schedule_where_there_are_enough_steps():
    assert plan(40) == (40, 1)
    assert plan(FULL_SCHEDULE) == (FULL_SCHEDULE, 1)
    for steps in range(1, 3000, 7):
        epochs, batches = plan(steps)
        assert 0 <= steps - epochs * batches < batches
        assert steps < FULL_SCHEDULE or epochs >= FULL_SCHEDULE


def test_cellpose_rescales_where_images_have_objects_of_one_size():
    def label_map(side):
        labels = np.zeros((40, 40), dtype=np.int32)
        labels[:side, :side] = 1
        return labels

    assert same_size([label_map(side) for side in (10, 11, 12, 15)])
    assert not same_size([label_map(side) for side in (5, 6, 20, 30)])


def test_the_higher_score_owns_the_pixel_and_hidden_masks_go():
    masks = np.zeros((3, 2, 4), dtype=bool)
    masks[0, :, 1:3] = masks[1, :, 0:2] = masks[2, 0, 1] = True
    labels, scores = paint(masks, np.array([0.9, 0.5, 0.3]))
    assert labels.tolist() == [[2, 1, 1, 0], [2, 1, 1, 0]]
    assert scores == [0.9, 0.5]


def test_a_sweep_calls_once_for_each_suppression_and_keeps_scores_from_the_threshold():
    calls = []

    def detect(score, nms):
        calls.append((score, nms))
        masks = np.eye(3, dtype=bool)[:, None]
        return masks, np.array([0.8, 0.5, 0.2])

    settings = [{"score": s, "nms": n} for n in (0.3, 0.5) for s in (0.2, 0.5, 0.9)]
    found = sweep(detect, settings)
    assert calls == [(0.2, 0.3), (0.2, 0.5)]
    assert [scores for _, scores in found] == [[0.8, 0.5, 0.2], [0.8, 0.5], []] * 2
    assert found[1][0].tolist() == [[1, 2, 0]]


def test_sizes_follow_from_the_images():
    assert training_size([(256, 256), (256, 320), (520, 696)]) == 320
    assert training_size([(96, 96)]) == 128
    assert patch_size([(256, 320), (300, 300)]) == 256
    assert patch_size([(255, 256), (300, 300)]) == 240
    assert patch_size([(96, 96)]) == 96


def test_yolo_data_is_written_once(tmp_path):
    for name in ("images", "labels"):
        (tmp_path / name).mkdir()
    labels = np.zeros((96, 96), dtype=np.uint16)
    labels[10:20, 30:40] = 1
    Image.fromarray(np.zeros((96, 96, 3), np.uint8)).save(tmp_path / "images" / "one.png")
    Image.fromarray(labels).save(tmp_path / "labels" / "one.png")
    size, data = prepare(tmp_path)
    assert size == 128
    text = tmp_path / "yolo" / "labels" / "one_0.txt"
    assert len(text.read_text().splitlines()) == 1
    assert (tmp_path / "yolo" / "images" / "one_0.png").is_file()
    written = text.stat().st_mtime_ns, data.stat().st_mtime_ns
    assert prepare(tmp_path) == (size, data)
    assert (text.stat().st_mtime_ns, data.stat().st_mtime_ns) == written


def test_mask_rcnn_targets_by_hand():
    labels = np.zeros((5, 6), dtype=np.int32)
    labels[1:3, 2:6], labels[4, 0] = 7, 3
    target = to_target(labels)
    assert target["boxes"].tolist() == [[0, 4, 1, 5], [2, 1, 6, 3]]
    assert target["labels"].tolist() == [1, 1]
    np.testing.assert_array_equal(target["masks"][1].numpy(), labels == 7)
    nothing = to_target(np.zeros((5, 6), dtype=np.int32))
    assert [tuple(nothing[key].shape) for key in ("boxes", "labels", "masks")] == [
        (0, 4), (0,), (0, 5, 6),
    ]  # fmt: skip


def test_mask_rcnn_draws_crops_of_image_and_labels_alike():
    rng = np.random.default_rng(0)
    labels = np.zeros((300, 400), dtype=np.int32)
    labels[40:90, 60:160], labels[200:280, 250:300] = 1, 2
    image = np.repeat(np.where(labels, 200, 0)[..., None], 3, axis=2).astype(np.uint8)
    sizes = set()
    for _ in range(12):
        pixels, target = draw_sample(rng, image, labels)
        assert max(pixels.shape[1:]) <= CROP
        assert 0 <= pixels.min() <= pixels.max() <= 1
        sizes.add(tuple(pixels.shape[1:]))
        foreground = target["masks"].amax(0).bool()
        if foreground.any():
            background = pixels[0][~foreground]
            assert pixels[0][foreground].mean() > background.mean() + 0.4
    assert len(sizes) > 1


def test_stardist_augments_image_and_labels_alike():
    rng = np.random.default_rng(0)
    labels = np.arange(36).reshape(6, 6)
    image = np.repeat(labels[..., None].astype(np.float32), 3, axis=2)
    for _ in range(10):
        changed, moved = augment(rng, image, labels)
        assert sorted(moved.ravel()) == list(range(36))
        order = np.argsort(changed[..., 0].ravel(), kind="stable")
        np.testing.assert_array_equal(np.argsort(moved.ravel()), order)


def test_what_a_script_leaves(tmp_path):
    """The classical method needs no environment of its own; its train and predict are a peer's."""
    images = tmp_path / "images"
    images.mkdir()
    image = np.zeros((40, 40, 3), np.uint8)
    image[4:12, 4:12] = image[20:34, 20:34] = 220
    Image.fromarray(image).save(images / "two.png")
    (tmp_path / "settings.json").write_text("[{}, {}]")
    train = ["train", "--train", tmp_path, "--minutes", 1, "--work", tmp_path, "--config", "nuclei"]
    predict = ["predict", "--images", images, "--output", tmp_path / "out", "--work", tmp_path]
    predict += ["--settings", tmp_path / "settings.json"]
    for command in (train, predict):
        main(classical.train, predict_with(classical.load), [str(word) for word in command])
    record = json.loads((tmp_path / "training.json").read_text())
    assert record == {"minutes": 1, "threads": 1, "seed": 0, "cpu_minutes": 0, "wall_minutes": 0}
    for number in ("0", "1"):
        with Image.open(tmp_path / "out" / number / "two.png") as file:
            assert file.mode == "I;16"
            assert np.unique(np.asarray(file)).tolist() == [0, 1, 2]
        scores = json.loads((tmp_path / "out" / number / "scores.json").read_text())
        assert scores == {"two": [1.0, 1.0]}
    assert json.loads((tmp_path / "out" / "prediction.json").read_text())["cpu_ms"] > 0
