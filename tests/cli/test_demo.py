import json

import pytest
from official import few_drawn

from recseg_d2.cli import demo

SHORT = [
    *("SOLVER.MAX_ITER", "2", "INPUT.SIMILARITY_CROP.SIZE", "32", "MODEL.DEVICE", "cpu"),
    *("MODEL.RESIDUAL_ENCODER.WIDTHS", "(4,4,4)", "DATASETS.TRAIN", "('synthetic_rosettes_dev',)"),
    *("TEST.NUM_PICTURES", "2", "MODEL.DENSE_ATTENTION.TEST.MAX_OBJECTS", "3"),
]


@pytest.mark.slow
def test_demo_trains_compares_and_draws(tmp_path, capsys):
    pytest.importorskip("skimage")
    with few_drawn(4):
        assert demo.main(["--output", str(tmp_path), *SHORT]) == 0
    out = capsys.readouterr().out
    last = json.loads((tmp_path / "metrics.json").read_text().splitlines()[-1])
    rows = json.loads((tmp_path / "demo.json").read_text())
    assert rows[0]["SBD"] == pytest.approx(last["label_map/SBD"])
    assert rows[0]["|DiC|"] == pytest.approx(last["label_map/absDiC"])
    assert rows[1]["SBD"] > 50  # the classical baseline does its job
    assert "SBD" in out
    assert out.startswith("2 iterations at ")
    pictures = [line.strip() for line in out.splitlines() if line.strip().endswith(".png")]
    assert len(pictures) == 5  # a montage, and of two images the sequence and the looks
    assert all((tmp_path / "pictures" / p.rsplit("/", 1)[-1]).exists() for p in pictures)
