"""``recseg report`` as a user runs it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from recseg_d2.cli import predict, run
from recseg_d2.data.io.label_maps import write_label_map

pytest.importorskip("plotly", reason="needs plotly (extra: report)")

from recseg_d2.cli.report import main
from recseg_d2.report import writer


@pytest.fixture
def truth(images):
    """The folder with the images, and label maps of their objects of plain colours beside them."""
    (images.parent / "labels").mkdir()
    for path in images.glob("*.png"):
        channels = np.asarray(Image.open(path)) > 0
        write_label_map(images.parent / "labels" / path.name, channels @ [1, 2, 3])
    return images.parent


def predicted(weights, images, folder):
    given = ["--weights", str(weights), "--input", str(images), "--output", str(folder)]
    assert run(predict.main, [*given, "--no-overlays"]) == 0
    return folder


def test_what_predict_wrote_beside_the_truth(trained, images, truth, tmp_path, capsys):
    found = predicted(trained, images, tmp_path / "found")
    argv = [str(found), "--val-data", str(truth), "--output", str(tmp_path / "report")]
    assert run(main, [*argv, "--title", "Colours"]) == 0
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "<title>Colours</title>" in page
    assert '<data value="100.0"' in page  # every object is found exactly
    assert "report.html" in capsys.readouterr().out


def test_as_a_user_runs_it_with_the_weights(tiny_run, images, tmp_path, tool_env):
    found = predicted(tiny_run, images, tmp_path / "found")
    command = [sys.executable, "-m", "recseg_d2.cli", "report", str(found), "--input", str(images)]
    done = subprocess.run(
        [*command, "--weights", str(tiny_run), "--output", str(tmp_path / "report")],
        capture_output=True, text=True, env=tool_env, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    # this model has no attention to show
    assert "found: where the model looked is not shown for 3 images" in page


def test_wrong_options_are_refused(trained, images, tmp_path, capsys):
    found = str(predicted(trained, images, tmp_path / "found"))
    output = ["--output", str(tmp_path / "report")]
    for argv, message in (
        ([found, "--weights", "a", "b"], "--weights names 2 of 1 runs"),
        ([found], "name the images' folder by --input"),
        ([str(tmp_path / "nowhere")], "there is no such folder"),
        ([found, "--metrics", "nonsense"], "found nonsense, expected one or more of"),
    ):
        assert run(main, [*argv, *output]) == 2
        assert message in capsys.readouterr().err


def test_missing_libraries_are_named_before_anything_is_computed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(writer.importlib.util, "find_spec", lambda name: None)
    assert run(main, [str(tmp_path), "--output", str(tmp_path)]) == 2
    assert "needs jinja2 and plotly: pip install 'recseg_d2[report]'" in capsys.readouterr().err
