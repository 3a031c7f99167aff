import pytest

from recseg_d2.config import get_config_file, get_recseg_cfg


def test_detectron2s_keys_and_ours():
    cfg = get_recseg_cfg()
    assert cfg.SOLVER.IMS_PER_BATCH > 0
    assert cfg.INPUT.MASK_FORMAT == "bitmask"
    assert cfg.MODEL.RSIS.HIDDEN_WIDTHS == (128, 128, 64, 32, 16)


def test_shipped_configs_are_found_by_name(tmp_path):
    assert get_config_file("rsis_synthetic.yaml").name == "rsis_synthetic.yaml"
    own = tmp_path / "own.yaml"
    own.write_text("VERSION: 2\n")
    assert get_config_file(str(own)) == own


def test_an_unknown_config_is_refused_with_what_there_is():
    with pytest.raises(FileNotFoundError, match=r"'nothing.yaml'.*rsis_synthetic.yaml"):
        get_config_file("nothing.yaml")
