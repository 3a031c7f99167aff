"""Checkpoints are whole or absent, and a phase is finished when the record says so."""

from __future__ import annotations

import errno
import os

import pytest
import torch

from recseg_d2.engine.checkpoints import (
    FINAL,
    RunCheckpointer,
    forget_finished,
    is_finished,
    record_finished,
)
from recseg_d2.errors import UserError


class Counter:
    """Stands for the trainer: what a checkpoint has beside the model."""

    def __init__(self, value=0):
        self.value = value

    def state_dict(self):
        return {"value": self.value}

    def load_state_dict(self, state):
        self.value = state["value"]


def checkpointer(folder, value=0):
    folder.mkdir(exist_ok=True)
    return RunCheckpointer(torch.nn.Linear(2, 1), str(folder), trainer=Counter(value))


@pytest.fixture
def three(tmp_path):
    """A folder with three checkpoints; the newest is the third."""
    folder = tmp_path / "run"
    for value in range(3):
        checkpointer(folder, value).save(f"model_{value:07d}")
        os.utime(folder / f"model_{value:07d}.pth", ns=(value, value))
    return folder


def resumed_value(folder):
    own = checkpointer(folder, -1)
    own.resume_or_load("", resume=True)
    return own.checkpointables["trainer"].value


def test_the_newest_is_gone_on_from(three):
    assert resumed_value(three) == 2


@pytest.mark.parametrize("damage", ["cut", "empty", "model alone", "gone"])
def test_what_cannot_be_read_is_passed_over_with_a_line(three, damage, caplog):
    newest = three / "model_0000002.pth"
    content = newest.read_bytes()
    if damage == "cut":
        newest.write_bytes(content[: len(content) // 2])
    elif damage == "empty":
        newest.write_bytes(b"")
    elif damage == "model alone":
        torch.save({"model": {}}, newest)
    else:
        newest.unlink()
    assert resumed_value(three) == 1
    assert damage == "gone" or "model_0000002.pth is no checkpoint to go on from" in caplog.text


def test_where_none_can_be_read_nothing_starts_anew_by_itself(three):
    for path in three.glob("*.pth"):
        path.write_bytes(b"")
    with pytest.raises(UserError, match=r"none of the checkpoints .* can be read"):
        resumed_value(three)


def test_the_best_model_is_none_to_go_on_from(three):
    torch.save({"model": {}}, three / "model_best.pth")
    assert resumed_value(three) == 2


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), None])
def test_a_full_disk_is_a_sentence_and_leaves_what_was_there(three, monkeypatch, error):
    before = {path.name: path.read_bytes() for path in three.iterdir()}

    def full(state, file):
        file.write(b"half")
        raise error or RuntimeError("PytorchStreamWriter failed writing file data/0")

    monkeypatch.setattr("torch.save", full)
    with pytest.raises(UserError, match=r"Cannot write .*model_0000002\.pth .*is unchanged"):
        checkpointer(three, 9).save("model_0000002")
    assert {path.name: path.read_bytes() for path in three.iterdir()} == before


def test_the_record_of_the_end_goes_with_its_file(tmp_path, caplog):
    (tmp_path / FINAL).write_bytes(b"weights")
    assert not is_finished(tmp_path, 0)
    record_finished(tmp_path, iterations=10, ended_early=False)
    assert is_finished(tmp_path, 10)
    assert not is_finished(tmp_path, 11)  # MAX_ITER was raised
    (tmp_path / FINAL).write_bytes(b"weight")
    assert not is_finished(tmp_path, 10)
    assert "is not the file that" in caplog.text
    (tmp_path / FINAL).unlink()
    assert not is_finished(tmp_path, 10)
    assert "is gone" in caplog.text
    record = tmp_path / "finished.json"
    record.write_text(record.read_text()[:10])
    assert not is_finished(tmp_path, 10)
    forget_finished(tmp_path)
    assert not record.exists()


def test_a_run_that_a_metric_ended_is_finished_at_any_length(tmp_path):
    (tmp_path / FINAL).write_bytes(b"weights")
    record_finished(tmp_path, iterations=3, ended_early=True)
    assert is_finished(tmp_path, 1000)
