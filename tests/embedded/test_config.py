"""Config files and configurable constructors, on either Detectron2."""

from __future__ import annotations

import pytest
from detectron2.config import CfgNode, configurable, get_cfg


class Layer:
    @configurable
    def __init__(self, width, depth=2, *, name="layer"):
        """Make a layer."""
        self.all = (width, depth, name)

    @classmethod
    def from_config(cls, cfg, depth=3):
        return {"width": cfg.MODEL.WIDTH, "depth": depth}


class Named(Layer):
    @configurable
    def __init__(self, width, depth, **kwargs):
        super().__init__(width, depth, name="named", **kwargs)


@configurable(from_config=lambda cfg, extra: {"width": cfg.MODEL.WIDTH, "extra": extra})
def make(width, extra=1, more=2):
    return width, extra, more


@pytest.fixture
def cfg() -> CfgNode:
    cfg = get_cfg()
    cfg.MODEL.WIDTH = 7
    return cfg


def test_configs_are_copies():
    changed = get_cfg()
    changed.SOLVER.MAX_ITER = 1
    fresh = get_cfg()
    assert fresh.SOLVER.MAX_ITER == 40000


def test_defaults_are_detectron2s():
    cfg = get_cfg()
    assert cfg.VERSION == 2
    assert sum(cfg.MODEL.PIXEL_MEAN) == pytest.approx(103.530 + 116.280 + 123.675)
    assert cfg.SOLVER.IMS_PER_BATCH == 16
    factor = cfg.SOLVER.WARMUP_FACTOR
    assert factor == pytest.approx(0.001)
    assert cfg.INPUT.MASK_FORMAT == "polygon"
    assert cfg.TEST.DETECTIONS_PER_IMAGE == 100
    assert cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS is True


def test_a_file_inherits_from_its_base(tmp_path):
    (tmp_path / "base.yaml").write_text("VERSION: 2\nSOLVER: {MAX_ITER: 5, BASE_LR: 0.5}\n")
    file = tmp_path / "own.yaml"
    file.write_text("_BASE_: base.yaml\nVERSION: 2\nSOLVER: {MAX_ITER: 6}\n")
    cfg = get_cfg()
    cfg.merge_from_file(str(file))
    cfg.merge_from_list(["SOLVER.STEPS", "(1, 2)"])
    assert (cfg.SOLVER.MAX_ITER, cfg.SOLVER.BASE_LR, cfg.SOLVER.STEPS) == (6, 0.5, (1, 2))
    again = get_cfg()
    again.merge_from_other_cfg(CfgNode.load_cfg(cfg.dump()))
    assert again.SOLVER == cfg.SOLVER


def test_files_that_are_wrong_are_refused(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("VERSION: 2\nSOLVER: {MAXITER: 6}\n")
    with pytest.raises(KeyError, match=r"SOLVER\.MAXITER"):
        get_cfg().merge_from_file(str(file))
    with pytest.raises(AssertionError, match=r"none\.yaml"):
        get_cfg().merge_from_file(str(tmp_path / "none.yaml"))
    file.write_text("VERSION: 99\n")
    with pytest.raises(AssertionError, match="99"):
        get_cfg().merge_from_file(str(file))


def test_a_file_without_version_is_taken_as_the_latest(tmp_path):
    file = tmp_path / "own.yaml"
    file.write_text("OUTPUT_DIR: here\n")
    cfg = get_cfg()
    cfg.merge_from_file(str(file))
    assert cfg.OUTPUT_DIR == "here"


def test_frozen_configs_do_not_change(cfg):
    cfg.freeze()
    with pytest.raises(AttributeError):
        cfg.SEED = 1
    cfg.defrost()
    cfg.SEED = 1


def test_constructors_take_arguments_or_a_config(cfg):
    assert Layer(1).all == (1, 2, "layer")
    assert Layer(cfg).all == (7, 3, "layer")
    assert Layer(cfg, depth=5).all == (7, 5, "layer")
    assert Layer(cfg=cfg, name="own").all == (7, 3, "own")
    assert Named(cfg, depth=4).all == (7, 4, "named")
    assert Layer.__init__.__doc__ == "Make a layer."


def test_functions_take_arguments_or_a_config(cfg):
    assert make(3) == (3, 1, 2)
    assert make(cfg, extra=9, more=8) == (7, 9, 8)
    assert callable(make.from_config)
    with pytest.raises(TypeError):
        make(cfg)


def test_a_class_without_from_config_is_refused(cfg):
    class Missing:
        @configurable
        def __init__(self, width):
            pass

    class NoClassmethod(Missing):
        def from_config(self, cfg):
            return {}

    class WrongName(Missing):
        @classmethod
        def from_config(cls, config):
            return {}

    with pytest.raises(AttributeError, match="from_config"):
        Missing(cfg)
    with pytest.raises(TypeError, match="from_config"):
        NoClassmethod(cfg)
    with pytest.raises(TypeError, match="cfg"):
        WrongName(cfg)
