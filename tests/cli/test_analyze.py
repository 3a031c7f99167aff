from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from warm_python import run_python

from recseg_d2.analysis.catalog import ANALYSES
from recseg_d2.cli import predict, run
from recseg_d2.cli.analyze import build_parser, main
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.data.synthetic.rosettes import draw_rosette

TINY = [
    *("MODEL.BACKBONE.NAME", "build_small_encoder_backbone", "MODEL.SMALL_ENCODER.WIDTHS", "(4,6)"),
    *("MODEL.RSIS.HIDDEN_WIDTHS", "(6,4)", "MODEL.SEQUENTIAL.IMAGE_SIZE", "(32,32)"),
    *("MODEL.SEQUENTIAL.STEPS", "3", "MODEL.SEQUENTIAL.TEST.SCORE_THRESH", "0.0"),
    *("MODEL.SEQUENTIAL.TEST.MASK_THRESH", "0.3", "MODEL.DEVICE", "cpu", "SOLVER.MAX_ITER", "2"),
    *("SOLVER.IMS_PER_BATCH", "2", "SOLVER.LOG_PERIOD", "1", "TEST.NUM_PICTURES", "0"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with three images of rosettes and their label maps."""
    folder = tmp_path_factory.mktemp("data")
    for kind in ("images", "labels"):
        (folder / kind).mkdir()
    for seed in range(3):
        image, labels = draw_rosette(seed, 48)
        Image.fromarray(image).save(folder / "images" / f"{seed}.png")
        write_label_map(folder / "labels" / f"{seed}.png", np.asarray(labels))
    return folder


@pytest.fixture(scope="module")
def run_folder(data, tmp_path_factory, tool_env):
    """The output folder of a training of two iterations."""
    folder = tmp_path_factory.mktemp("run")
    words = ["-m", "recseg_d2.cli", "train", "--config-file", "rsis_small.yaml"]
    words += ["--train-data", data, "--val-data", data, *TINY, "OUTPUT_DIR", folder]
    done = run_python(words, tool_env, folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.slow
def test_all_of_a_trained_run_as_a_user_runs_it(tool_env, run_folder, data, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib (extra: plots)")
    command = [sys.executable, "-m", "recseg_d2.cli", "analyze", str(run_folder)]
    done = subprocess.run(
        [*command, "--val-data", str(data), "--min-pairs", "1", "--min-found", "2"],
        capture_output=True, text=True, env=tool_env, cwd=tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    written = {path.name for path in (run_folder / "analysis").iterdir()}
    done_by_name = {"ordering_tau", "ordering_pairs", "errors_false_positives", "sizes", "steps"}
    done_by_name |= {"sequences", "activations", "active_objects", "curves"}
    for name in done_by_name:
        assert {f"{name}.csv", f"{name}.json", f"{name}.png"} <= written
    assert "== proposals: left out." in done.stdout
    rows = json.loads((run_folder / "analysis" / "errors_kinds.json").read_text())
    assert rows[0]["objects"] > 0
    rows = json.loads((run_folder / "analysis" / "active_objects.json").read_text())
    assert {(row["weights"], row["active"]) for row in rows} == {
        (weights, active) for weights in ("before", "after") for active in ("most", "least")
    }


@pytest.mark.slow
def test_one_analysis_without_plots(run_folder, data, tmp_path, capsys):
    argv = [str(run_folder), "--what", "sizes", "--val-data", str(data), "--no-plots"]
    assert main([*argv, "--output", str(tmp_path / "out")]) == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"sizes.csv", "sizes.json"}
    assert "percent_to" in capsys.readouterr().out


@pytest.mark.slow
def test_without_the_data_what_needs_them_is_left_out_by_name(run_folder, tmp_path, capsys):
    argv = [str(run_folder), "--no-plots", "--output", str(tmp_path / "out")]
    assert run(main, argv) == 0
    out = capsys.readouterr().out
    for name in ("sequences", "errors", "sizes", "steps", "activations"):
        assert f"== {name}: left out." in out
    assert "--val-data PATH" in out
    assert (tmp_path / "out" / "ordering_tau.csv").is_file()
    assert run(main, [*argv, "--what", "errors"]) == 2
    assert "folder_val" in capsys.readouterr().err


def test_curves_of_several_runs(tmp_path, capsys):
    folders = [tmp_path / name for name in ("a", "b")]
    for i, folder in enumerate(folders):
        folder.mkdir()
        lines = [{"iteration": 0, "total_loss": 2.0 + i}, {"iteration": 1, "total_loss": 1.0}]
        (folder / "metrics.json").write_text("\n".join(map(json.dumps, lines)))
    argv = [*map(str, folders), "--what", "curves", "--no-plots", "--keys", "total_loss"]
    assert main(argv) == 0
    saved = json.loads((tmp_path / "a" / "analysis" / "curves_summary.json").read_text())
    assert [(row["run"], row["first"], row["last"]) for row in saved] == [
        ("a", 2.0, 1.0),
        ("b", 3.0, 1.0),
    ]
    assert "total_loss" in capsys.readouterr().out


def test_what_predict_wrote_beside_the_truth(trained, images, tmp_path):
    """Two images with objects of plain colours, which the model finds exactly."""
    (tmp_path / "labels").mkdir()
    for path in images.glob("*.png"):
        channels = np.asarray(Image.open(path)) > 0
        write_label_map(tmp_path / "labels" / path.name, channels @ [1, 2, 3])
    arguments = [
        "--weights",
        str(trained),
        "--input",
        str(images),
        "--output",
        str(tmp_path / "out"),
    ]
    assert run(predict.main, [*arguments, "--no-overlays"]) == 0
    argv = [str(tmp_path / "out"), "--val-data", str(tmp_path), "--no-plots"]
    assert run(main, [*argv, "--what", "errors"]) == 0
    rows = json.loads((tmp_path / "out" / "analysis" / "errors_kinds.json").read_text())
    assert (rows[0]["TP"], rows[0]["objects"], rows[0]["missed"]) == (5, 5, 0)
    assert (
        run(main, [str(tmp_path / "out" / "predictions.json"), *argv[1:], "--what", "sizes"]) == 0
    )
    assert (tmp_path / "out" / "analysis" / "sizes.csv").is_file()


def test_long_tables_are_in_the_files_alone(tmp_path, capsys):
    lines = [{"iteration": i, "total_loss": 1.0} for i in range(100)]
    (tmp_path / "metrics.json").write_text("\n".join(map(json.dumps, lines)))
    assert main([str(tmp_path), "--what", "curves", "--no-plots"]) == 0
    assert "curves: 100 rows, see the files" in capsys.readouterr().out
    assert len(json.loads((tmp_path / "analysis" / "curves.json").read_text())) == 100


def test_an_empty_folder_has_nothing_to_analyse(tmp_path, capsys):
    assert run(main, [str(tmp_path), "--no-plots"]) == 2
    error = capsys.readouterr().err
    assert all(f"{name}: " in error for name in ANALYSES)
    assert error.startswith("error: ")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--iou-thresh", "0"], "--iou-thresh is 0.0"),
        (["--min-score", "2"], "--min-score is 2.0"),
        (["--min-pairs", "0"], "--min-pairs is 0"),
        (["--min-found", "1"], "--min-found is 1"),
        (["--examples", "0"], "--examples is 0"),
    ],
)
def test_numbers_out_of_range_are_refused(options, message, tmp_path, capsys):
    assert run(main, [str(tmp_path), *options]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_folder_is_refused(tmp_path, capsys):
    assert run(main, [str(tmp_path / "nowhere")]) == 2
    assert "there is no such folder" in capsys.readouterr().err


def test_every_analysis_is_in_the_help():
    text = build_parser().format_help()
    assert all(f"\n  {name} " in text for name in (*ANALYSES, "all"))
