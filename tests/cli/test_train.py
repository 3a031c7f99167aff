"""The training tool as a user runs it, on data sets that ``make_dataset`` writes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2.data import DatasetCatalog, MetadataCatalog
from warm_python import run_torchrun

from recseg_d2 import cli
from recseg_d2.cli import make_dataset, train
from recseg_d2.cli.model_options import parse_arguments
from recseg_d2.data.io.label_maps import write_label_map
from recseg_d2.engine.run_folder import owned

TINY = [
    *("MODEL.SMALL_ENCODER.WIDTHS", "[4,6]", "MODEL.RSIS.HIDDEN_WIDTHS", "[6,4]"),
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", "(32,32)", "SOLVER.MAX_ITER", "2", "MODEL.DEVICE", "cpu"),
    *("TEST.NUM_PICTURES", "1"),
]


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "leaves"
    assert make_dataset.main(["label_maps", str(folder), "--images", "4", "--size", "48"]) == 0
    return folder


@pytest.fixture(autouse=True)
def clean_catalog():
    yield
    forget_folders()


def forget_folders():
    for name in (train.FOLDER_TRAIN, train.FOLDER_VAL):
        if name in DatasetCatalog.list():
            DatasetCatalog.remove(name)
        if name in MetadataCatalog.list():
            MetadataCatalog.remove(name)


def arguments(data, output, *opts):
    folders = ["--train-data", str(data / "train"), "--val-data", str(data / "val")]
    config = ["--config-file", "rsis_small.yaml", *folders]
    return [*config, "OUTPUT_DIR", str(output), *TINY, *opts]


@pytest.mark.slow
def test_a_folder_trains_from_the_command_line(data, tmp_path, tool_env, root):
    command = [sys.executable, str(root / "tools" / "train_net.py")]
    result = subprocess.run(
        [*command, *arguments(data, tmp_path / "out")],
        env=tool_env, capture_output=True, text=True, check=False, cwd=tmp_path,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    last = json.loads((tmp_path / "out" / "metrics.json").read_text().splitlines()[-1])
    assert {"label_map/SBD", "label_map/DiC", "label_map/absDiC", "label_map/FGBGDice"} <= set(last)
    for name in ("config.yaml", "model_final.pth", "pictures/montage.png"):
        assert (tmp_path / "out" / name).exists(), name


def test_evaluation_alone_gives_the_numbers_that_training_ended_with(data, tmp_path):
    output = tmp_path / "out"
    trained = train.train(train.build_parser().parse_args(arguments(data, output)))
    weights = ["MODEL.WEIGHTS", str(output / "model_final.pth")]
    forget_folders()
    options = ["--eval-only", *arguments(data, tmp_path / "eval", *weights)]
    assert train.train(train.build_parser().parse_args(options)) == trained


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["MODEL.NOTHING", "1"], "Non-existent key: MODEL.NOTHING"),
        (["MODEL.NUM_CLASSES", "3"], "NUM_CLASSES is 3, but data set 'folder_train'"),
        (["SOLVER.OPTIMIZER", "LION"], "SOLVER.OPTIMIZER is 'LION'"),
        (["SOLVER.TRAINABLE", "['nothing']"], "'nothing' matches no parameter"),
    ],
)
def test_wrong_options_are_one_sentence_and_exit_code_two(data, tmp_path, capsys, opts, message):
    code = cli.run(train.main, arguments(data, tmp_path / "out", *opts))
    error = capsys.readouterr().err
    assert code == 2
    assert message in error
    assert error.startswith("error: ")
    assert len(error.splitlines()) == 1


def test_an_unknown_config_names_the_shipped_ones(capsys):
    assert cli.run(train.main, ["--config-file", "rsis_moon.yaml"]) == 2
    message = capsys.readouterr().err
    assert "No config 'rsis_moon.yaml'; shipped are" in message
    assert "rsis_cvppp.yaml" in message


def test_a_missing_folder_is_named(tmp_path, capsys):
    code = cli.run(train.main, ["--config-file", "rsis_small.yaml", "--train-data", "nowhere"])
    assert code == 2
    assert "nowhere" in capsys.readouterr().err


def test_evaluation_needs_weights(data, tmp_path, capsys):
    code = cli.run(train.main, ["--eval-only", *arguments(data, tmp_path / "out")])
    assert code == 2
    assert "--eval-only needs MODEL.WEIGHTS" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("opts", "message"),
    [
        (["SOLVER.MAX_ITER", "0"], "SOLVER.MAX_ITER is 0"),
        (["MODEL.SEQUENTIAL.STEPS", "0"], "MODEL.SEQUENTIAL.STEPS is 0"),
        (["MODEL.SEQUENTIAL.IMAGE_SIZE", "(0,32)"], "MODEL.SEQUENTIAL.IMAGE_SIZE is (0, 32)"),
        (["MODEL.DEVICE", "gpu"], "MODEL.DEVICE is 'gpu'"),
        (["MODEL.BACKBONE.NAME", "moon"], "MODEL.BACKBONE.NAME is 'moon'"),
        (["MODEL.META_ARCHITECTURE", "GeneralizedRCNN"], "expected one of"),
        (["MODEL.WEIGHTS", "gone.pth"], "there is no file gone.pth"),
        (["MODEL.WEIGHTS", __file__], "cannot be read as a checkpoint"),
    ],
)
def test_what_would_fail_later_is_refused_before_training(data, tmp_path, capsys, opts, message):
    assert cli.run(train.main, arguments(data, tmp_path / "out", *opts)) == 2
    assert message in capsys.readouterr().err
    metrics = tmp_path / "out" / "metrics.json"
    assert not metrics.exists() or not metrics.read_text()  # no iteration was run


def test_no_config_no_data_and_no_place_are_refused(data, tmp_path, capsys):
    (tmp_path / "file").write_text("")
    small = ["--config-file", "rsis_small.yaml", "MODEL.DEVICE", "cpu"]
    for argv, message in (
        ([], "name a config by --config-file"),
        (small, "give --train-data PATH"),
        (["--eval-only", *small], "give --val-data PATH"),
        ([*small, "DATASETS.TRAIN", "('folder_train',)"], "give --train-data PATH again"),
        (arguments(data, tmp_path / "file"), "Cannot make the folder"),
    ):
        assert cli.run(train.main, argv) == 2
        assert message in capsys.readouterr().err
        forget_folders()


def test_bad_validation_data_is_found_before_training(data, tmp_path, capsys):
    bad = shutil.copytree(data / "val", tmp_path / "val")
    for path in (bad / "labels").iterdir():
        write_label_map(path, np.zeros((7, 7), np.uint8))
    argv = [*arguments(data, tmp_path / "out")]
    argv[argv.index("--val-data") + 1] = str(bad)
    assert cli.run(train.main, argv) == 2
    assert "found 7x7 pixels" in capsys.readouterr().err
    assert not (tmp_path / "out" / "metrics.json").exists()


def test_resuming_what_is_finished_changes_nothing(data, tmp_path):
    output = tmp_path / "out"

    def run(*options):
        forget_folders()
        args = train.build_parser().parse_args([*options, *arguments(data, output)])
        return train.train(args)

    first = run()
    before = (output / "model_final.pth").read_bytes()
    for _ in range(2):
        assert run("--resume") == first
    assert (output / "model_final.pth").read_bytes() == before


def test_a_folder_that_holds_a_run_is_only_used_when_asked(data, tmp_path, capsys):
    output = tmp_path / "out"
    assert cli.run(train.main, arguments(data, output)) == 0
    (output / "notes.txt").write_text("mine")
    before = (output / "model_final.pth").read_bytes()
    forget_folders()
    assert cli.run(train.main, arguments(data, output, "SEED", "1")) == 2
    assert "holds the results of a run: go on with it by --resume" in capsys.readouterr().err
    assert (output / "model_final.pth").read_bytes() == before
    forget_folders()
    assert cli.run(train.main, ["--overwrite", *arguments(data, output, "SEED", "1")]) == 0
    assert (output / "model_final.pth").read_bytes() != before
    assert (output / "notes.txt").read_text() == "mine"


def test_a_second_run_in_a_folder_is_refused_while_the_first_is_there(
    data, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr(train, "owned", lambda folder: owned(folder, patience=0))
    with owned(tmp_path / "out"):
        assert cli.run(train.main, arguments(data, tmp_path / "out")) == 2
    assert "another process is training into it" in capsys.readouterr().err
    assert not (tmp_path / "out" / "config.yaml").exists()


def test_evaluation_leaves_the_config_of_a_run_alone(data, tmp_path):
    output = tmp_path / "out"
    assert cli.run(train.main, arguments(data, output)) == 0
    before = (output / "config.yaml").read_text()
    forget_folders()
    options = ["--eval-only", "--resume", *arguments(data, output, "SOLVER.BASE_LR", "0.5")]
    assert cli.run(train.main, options) == 0
    assert (output / "config.yaml").read_text() == before


def test_the_environment_is_in_the_log_and_in_the_checkpoint(data, tmp_path):
    output = tmp_path / "out"
    assert cli.run(train.main, ["--deterministic", *arguments(data, output)]) == 0
    torch.use_deterministic_algorithms(False)
    state = torch.load(output / "model_final.pth", weights_only=True)
    assert state["environment"]["torch"] == torch.__version__
    assert state["environment"]["deterministic"] == "True"
    assert f"torch {torch.__version__}" in (output / "log.txt").read_text()


def test_another_model_is_not_resumed_or_evaluated_and_the_run_stays_as_it_was(
    data, tmp_path, capsys
):
    output = tmp_path / "out"
    assert cli.run(train.main, arguments(data, output)) == 0
    before = (output / "config.yaml").read_text()
    wider = ["MODEL.RSIS.HIDDEN_WIDTHS", "[8,4]"]
    weights = ["MODEL.WEIGHTS", str(output / "model_final.pth")]
    for argv, message in (
        (
            ["--resume", *arguments(data, output, *wider)],
            f"MODEL.RSIS.HIDDEN_WIDTHS is [8, 4], but [6, 4] in {output / 'config.yaml'}.",
        ),
        (
            ["--eval-only", *arguments(data, tmp_path / "other", *wider, *weights)],
            "has no fitting value for",
        ),
    ):
        capsys.readouterr()
        forget_folders()
        assert cli.run(train.main, argv) == 2
        assert message in capsys.readouterr().err
    assert (output / "config.yaml").read_text() == before


@pytest.mark.slow
def test_any_number_of_processes_evaluates(data, tmp_path, tool_env, root):
    output = tmp_path / "out"
    assert cli.run(train.main, arguments(data, output)) == 0
    tool = [root / "tools" / "train_net.py", "--eval-only", "--resume"]
    result = run_torchrun(3, [*tool, *arguments(data, output)], tool_env, tmp_path)
    assert result.returncode == 0, result.stderr[-3000:]
    last = json.loads((output / "metrics.json").read_text().splitlines()[-1])
    assert f"{last['label_map/SBD']:.4f}," in result.stdout  # of training, in one process


def test_k06_options_may_follow_keys():
    length, device = ["SOLVER.MAX_ITER", "3"], ["MODEL.DEVICE", "cpu"]
    argv = [*length, "--resume", *device, "--train-data", "some/folder"]
    args = parse_arguments(train.build_parser(), argv)
    assert (args.resume, args.train_data) == (True, "some/folder")
    assert args.opts == [*length, *device]
