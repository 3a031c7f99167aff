"""Predictions that are merged of several: of flipped images, of several models."""

from __future__ import annotations

import shutil

import torch
from cli.predicting import counts, predict

from recseg_d2.cli import run
from recseg_d2.cli.predict import main

FLIPS = ["TEST.FLIPS", "['horizontal','vertical']"]


def test_flips_and_ensembles_of_a_model_with_itself_change_nothing(trained, images, tmp_path):
    assert predict(trained, images, output=tmp_path / "plain") == 0
    assert predict(trained, images, output=tmp_path / "flips", more=FLIPS) == 0
    out = tmp_path / "ensemble"
    arguments = ["--ensemble", str(trained), str(trained), "--input", str(images)]
    assert run(main, [*arguments, "--output", str(out)]) == 0
    for name in ("two", "none", "three"):
        expected = (tmp_path / "plain" / "labels" / f"{name}.png").read_bytes()
        for folder in ("flips", "ensemble"):
            assert (tmp_path / folder / "labels" / f"{name}.png").read_bytes() == expected


def test_an_ensemble_keeps_what_half_of_its_models_find(trained, images, tmp_path):
    blind = tmp_path / "blind"
    shutil.copytree(trained, blind)
    torch.save({"model": {"threshold": torch.tensor(250.0)}}, blind / "model_final.pth")
    found = []
    for models in ([trained, blind], [trained, blind, blind]):
        arguments = ["--ensemble", *map(str, models), "--input", str(images)]
        assert run(main, [*arguments, "--output", str(tmp_path / "out")]) == 0
        found.append(counts(tmp_path / "out")[1:])
    assert found[0] == [["none.png", "0"], ["three.png", "3"], ["two.png", "2"]]
    assert found[1] == [["none.png", "0"], ["three.png", "0"], ["two.png", "0"]]


def test_an_ensemble_of_other_classes_is_refused(trained, images, tmp_path, capsys):
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    config = (other / "config.yaml").read_text()
    (other / "config.yaml").write_text(config.replace("NUM_CLASSES: 1\n", "NUM_CLASSES: 2\n"))
    arguments = ["--ensemble", str(trained), str(other), "--input", str(images)]
    assert run(main, [*arguments, "--output", str(tmp_path / "out")]) == 2
    assert "MODEL.NUM_CLASSES of an ensemble's models is 1, 2" in capsys.readouterr().err
