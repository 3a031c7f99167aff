"""Event storage, writers and logging, on either Detectron2."""

from __future__ import annotations

import json
import logging

import pytest
import torch
from detectron2.utils import logger as d2_logger
from detectron2.utils.events import (
    CommonMetricPrinter,
    EventStorage,
    JSONWriter,
    TensorboardXWriter,
    get_event_storage,
    has_event_storage,
)


def test_storages_nest():
    assert not has_event_storage()
    with EventStorage(3) as outer:
        with EventStorage() as inner:
            assert get_event_storage() is inner
        assert get_event_storage() is outer
        assert outer.iter == 3
    with pytest.raises(AssertionError, match="EventStorage"):
        get_event_storage()


def test_scalars_have_histories():
    with EventStorage() as storage:
        for value in (1, 5, 2):
            storage.put_scalars(loss=torch.tensor(value), smoothing_hint=True)
            storage.step()
        storage.put_scalar("score", 7, smoothing_hint=False, cur_iter=9)
    assert [value for value, _ in storage.history("loss").values()] == [1, 5, 2]
    assert storage.latest()["score"] == (7.0, 9)
    assert storage.latest_with_smoothing_hint()["loss"] == (2.0, 2)
    assert storage.latest_with_smoothing_hint(window_size=2)["loss"] == (3.5, 2)
    assert storage.count_samples("loss", 2) == 2
    with pytest.raises(KeyError, match="nothing"):
        storage.history("nothing")


def test_a_scalar_keeps_its_smoothing_hint():
    storage = EventStorage()
    storage.put_scalar("x", 1)
    with pytest.raises(AssertionError, match="smoothing_hint"):
        storage.put_scalar("x", 1, smoothing_hint=False)


def test_json_has_a_line_an_iteration_and_nothing_twice(tmp_path):
    path = tmp_path / "metrics.json"
    with EventStorage() as storage:
        writer = JSONWriter(str(path))
        for value in range(4):
            storage.put_scalar("a", value, smoothing_hint=False)
            if value == 1:
                storage.put_scalar("b", 10, smoothing_hint=False)
            if value % 2:
                writer.write()
            storage.step()
        writer.write()
        writer.close()
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    assert rows == [{"a": 1.0, "b": 10.0, "iteration": 1}, {"a": 3.0, "iteration": 3}]


def test_tensorboard_files_are_made_when_needed(tmp_path):
    writer = TensorboardXWriter(str(tmp_path))
    writer.close()
    assert not list(tmp_path.iterdir())
    with EventStorage() as storage:
        storage.put_scalar("a", 1)
        writer = TensorboardXWriter(str(tmp_path))
        writer.write()
        writer.close()
    assert any("tfevents" in path.name for path in tmp_path.iterdir())


def test_printer_shows_losses_and_the_time_that_is_left(caplog, monkeypatch):
    name = "detectron2.utils.events"
    monkeypatch.setattr(logging.getLogger("detectron2"), "propagate", True)
    with EventStorage() as storage, caplog.at_level(logging.INFO, logger=name):
        printer = CommonMetricPrinter(max_iter=11)
        storage.put_scalar("time", 2.0)
        storage.put_scalars(total_loss=0.5, lr=0.25)
        printer.write()
        storage.iter = 11
        printer.write()
    assert len(set(caplog.messages)) == 1  # other tests may have left a second handler
    for part in ("eta: 0:00:20", "iter: 0", "total_loss: 0.5", "lr: 0.25", "time: 2.0"):
        assert part in caplog.messages[0]
    assert storage.latest()["eta_seconds"] == (20.0, 0)


def test_logs_go_to_a_file_once(tmp_path):
    for _ in range(2):
        logger = d2_logger.setup_logger(str(tmp_path), name="some_project", configure_stdout=False)
    logger.info("hello")
    other = d2_logger.setup_logger(
        str(tmp_path), distributed_rank=1, name="other_project", configure_stdout=False
    )
    other.debug("from rank 1")
    for handler in (*logger.handlers, *other.handlers):
        handler.flush()
    assert (tmp_path / "log.txt").read_text().count("hello") == 1
    assert "from rank 1" in (tmp_path / "log.txt.rank1").read_text()
