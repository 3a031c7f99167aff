import pytest

from recseg_d2.config import (
    CHANGED_DEFAULTS,
    NODES,
    check_options,
    get_config_file,
    get_recseg_cfg,
    load_config,
    read_options,
)
from recseg_d2.errors import UserError
from recseg_d2.models.convlstm.options import ConvLSTMOptions


def test_detectron2s_keys_and_ours():
    cfg = get_recseg_cfg()
    assert cfg.SOLVER.IMS_PER_BATCH > 0
    assert cfg.INPUT.MASK_FORMAT == "bitmask"
    assert cfg.MODEL.RSIS.HIDDEN_WIDTHS == (128, 128, 64, 32, 16)


def test_changed_defaults_are_in_the_config():
    cfg = get_recseg_cfg()
    for key, value, _ in CHANGED_DEFAULTS:
        node = cfg
        for name in key.split("."):
            node = node[name]
        assert value in (node, "auto"), key


@pytest.mark.parametrize("kind", NODES.values(), ids=NODES)
def test_a_config_holds_the_options_it_was_made_from(kind):
    cfg = get_recseg_cfg()
    assert read_options(cfg, kind) == kind()
    again = get_recseg_cfg()
    again.merge_from_other_cfg(type(cfg).load_cfg(cfg.dump()))  # through a file
    assert read_options(again, kind) == kind()


def test_one_way_to_name_a_wrong_value():
    cfg = get_recseg_cfg()
    cfg.MODEL.RSIS.SKIP_MODE = "add"
    message = r"MODEL\.RSIS\.SKIP_MODE is 'add'; expected one of concat, sum, mul, none"
    for check in (check_options, lambda c: read_options(c, ConvLSTMOptions)):
        with pytest.raises(UserError, match=message):
            check(cfg)
    with pytest.raises(
        UserError, match=f"^rsis_small.yaml with MODEL.RSIS.SKIP_MODE add: {message}"
    ):
        load_config("rsis_small.yaml", ["MODEL.RSIS.SKIP_MODE", "add"])


def test_shipped_configs_are_found_by_name(tmp_path):
    assert get_config_file("rsis_synthetic.yaml").name == "rsis_synthetic.yaml"
    own = tmp_path / "own.yaml"
    own.write_text("VERSION: 2\n")
    assert get_config_file(str(own)) == own


def test_an_unknown_config_is_refused_with_what_there_is():
    with pytest.raises(FileNotFoundError, match=r"'nothing.yaml'.*rsis_synthetic.yaml"):
        get_config_file("nothing.yaml")
