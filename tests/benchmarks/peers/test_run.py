from __future__ import annotations

import json

import pytest

from benchmarks.peers.run import METHODS, main, parse_method
from recseg_d2.cli.make_dataset import main as make_dataset
from recseg_d2.errors import UserError


@pytest.fixture
def leaves(tmp_path):
    make_dataset(["label_maps", str(tmp_path / "leaves"), "--images", "4", "--size", "48"])
    return tmp_path / "leaves"


def test_methods_are_scripts_with_a_config():
    ours = parse_method("recseg:rsis_small.yaml")
    assert (ours.title, ours.folder) == ("recseg rsis_small", "recseg-rsis_small")
    assert [parse_method(name).folder for name in METHODS] == list(METHODS)
    with pytest.raises(UserError, match=r"found 'run', expected one of yolo, .*, classical"):
        parse_method("run")


def test_every_peer_says_what_the_driver_needs():
    for name in METHODS:
        peer = parse_method(name).peer
        assert peer.commands
        assert peer.environment in ("torch", "stardist")
        assert peer.ranking.keys() <= peer.thresholds.keys()


def test_from_a_folder_to_the_table(leaves, tmp_path, capsys):
    out = tmp_path / "out"
    options = ["--data", str(leaves), "--minutes", "1", "--methods", "classical:leaves"]
    main([*options, "--output", str(out)])
    printed = capsys.readouterr().out
    assert "| classical: leaves" in printed
    assert "4 training and 1 validation images" in printed
    result = json.loads((out / "classical-leaves_seed0" / "result.json").read_text())
    assert len(result["images"]) == 1
    assert result["commands"] == ["recseg baseline --method leaves --input images --output found"]
    main([*options, "--output", str(out)])
    assert "is there already" in capsys.readouterr().out
    with pytest.raises(UserError, match=r"found another experiment \(minutes differ\)"):
        main([*options[:3], "2", *options[4:], "--output", str(out)])


def test_without_methods_only_the_images_are_written(leaves, tmp_path):
    out = tmp_path / "out"
    options = ["--data", str(leaves), "--scale", "0.5", "--minutes", "1", "--output", str(out)]
    assert main([*options, "--methods"]) == 0
    assert {path.name for path in out.iterdir()} == {"data", "experiment.json"}
    assert len(list((out / "data" / "train" / "images").glob("*.png"))) == 4


def test_a_missing_environment_is_named_with_the_commands_that_make_it(leaves, tmp_path):
    options = ["--data", str(leaves), "--minutes", "1", "--methods", "stardist"]
    with pytest.raises(UserError, match=r"-r benchmarks/peers/requirements-stardist\.txt"):
        main([*options, "--envs", str(tmp_path / "none"), "--output", str(tmp_path / "out")])


def test_a_failed_script_is_named_with_its_log(leaves, tmp_path):
    options = ["--data", str(leaves), "--minutes", "1", "--methods", "classical:none"]
    with pytest.raises(UserError, match=r"classical predict: found exit code 1.*log\.txt"):
        main([*options, "--output", str(tmp_path / "out")])
