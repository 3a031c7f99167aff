"""Every shipped config builds, and makes a train and a test step with its own network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
import yaml
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances
from PIL import Image

from recseg_d2.config import load_config
from recseg_d2.engine.freezing import freeze_except
from recseg_d2.engine.phases import phase_configs
from recseg_d2.engine.solver import build_lr_scheduler, build_optimizer
from recseg_d2.models.convlstm.losses import stop_loss

ROOT = Path(__file__).parent.parent
CONFIGS = sorted([*ROOT.glob("configs/*.yaml"), *ROOT.glob("projects/*/configs/*.yaml")])
BASES = sorted(ROOT.glob("configs/_base_/*.yaml"))

SMALL = [
    *("MODEL.SEQUENTIAL.IMAGE_SIZE", (64, 64), "MODEL.WEIGHTS", "", "MODEL.DEVICE", "cpu"),
    *("MODEL.SEQUENTIAL.STEPS", 3),
    *("MODEL.RESNETS.DEPTH", 18, "MODEL.RESNETS.RES2_OUT_CHANNELS", 64),
    *("MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", 16, "MODEL.INSTANCE_FCN.SAMPLING.NUM_WINDOWS", 2),
    *("MODEL.INSTANCE_FCN.TEST.SCALES", (48, 64), "MODEL.INSTANCE_FCN.TEST.MAX_SIDE", 64),
    # fully connected layers on VGG's features have 120 million weights, and the optimiser as many
    *("MODEL.PROPOSAL_CLASSIFIER.FC_WIDTH", 64),
]


def example():
    masks = torch.zeros(2, 64, 64, dtype=torch.bool)
    masks[0, :20], masks[1, 30:, 30:] = True, True
    instances = Instances((64, 64), gt_masks=BitMasks(masks), gt_classes=torch.zeros(2).long())
    image = torch.randint(0, 256, (3, 64, 64), dtype=torch.uint8)
    given = {"instances": instances, "proposals": Instances((64, 64), pred_masks=masks)}
    size = {"height": 100, "width": 80}
    return {"image": image, **given, **size, "file_name": "a_leftImg8bit.png"}


@pytest.fixture(scope="module")
def tried():
    """The models that another config has as well, each with what of it is trained."""
    return set()


def identify(path):
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", CONFIGS, ids=identify)
def test_each_phase_trains_and_predicts(path, tmp_path, tried):
    """But the last of several, which ``test_configs_on_data`` runs of every config."""
    Image.new("L", (80, 100)).save(tmp_path / "a_labelIds.png")
    cfg = load_config(str(path), SMALL)
    phases = list(phase_configs(cfg).values())
    for phase in phases[:-1] or phases:
        model = (phase.MODEL.dump(), phase.SOLVER.TRAINABLE)
        if model in tried:
            continue
        tried.add(model)
        phase.MODEL.RIS.SEMANTIC_FOLDER.PATH = str(tmp_path)
        torch.manual_seed(0)
        model = build_model(phase)
        freeze_except(model, phase.SOLVER.TRAINABLE)
        optimizer = build_optimizer(phase, model)
        scheduler = build_lr_scheduler(phase, optimizer)
        # crops go through the network alone, as many small images
        images = 1 if phase.MODEL.INSTANCE_FCN.SAMPLING.CROP_SIZE else 2
        losses = model([example() for _ in range(images)])
        sum(losses.values()).backward()
        optimizer.step()
        scheduler.step()
        with torch.no_grad():
            (result,) = model.eval()([example()])
        assert result["instances"].image_size == (100, 80)


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/ris_*_code.yaml")), ids=identify)
def test_the_public_code_predicts_the_gain_of_boxes_in_every_phase(path):
    for phase in phase_configs(load_config(str(path))).values():
        assert phase.MODEL.RIS.WINDOW.BOX_GAMMA == "predicted"


def test_true_boxes_grow_by_their_proportions_in_the_paper_and_by_a_floor_in_its_code():
    for name in ("cvppp", "kitti", "cityscapes"):
        paper, code = (
            [p.MODEL.RIS.BOX_IOU for p in phase_configs(load_config(f"ris_{file}.yaml")).values()]
            for file in (name, f"{name}_code")
        )
        assert {(o.PADDING_RATIO, o.MIN_PADDING) for o in paper} == {(0.2, 0.0)}
        assert [o.MIN_PADDING for o in code[-2:]] == [10.0, 20.0]


def test_the_public_code_compares_cityscapes_boxes_by_soft_iou_in_the_box_phase():
    phases = phase_configs(load_config("ris_cityscapes_code.yaml"))
    measures = {name: cfg.MODEL.RIS.BOX_IOU.MEASURE for name, cfg in phases.items()}
    assert (measures["box"], measures["full"]) == ("gaussian", "coordinates")


@pytest.mark.parametrize("path", sorted(ROOT.glob("configs/*_code.yaml")), ids=identify)
def test_a_preset_of_public_code_says_first_what_it_leaves_out(path):
    comment = path.read_text().split("_BASE_")[0]
    assert "Left out: " in comment
    assert all(line.startswith("#") for line in comment.splitlines())


@pytest.mark.parametrize("name", ["cvppp", "kitti", "cityscapes", "coco_zebra"])
def test_sequences_of_ris_are_one_step_longer_than_objects(name):
    sequential = load_config(f"ris_{name}.yaml").MODEL.SEQUENTIAL
    assert sequential.MAX_OBJECTS == sequential.STEPS - 1


def test_the_public_code_shifts_its_images_in_every_phase():
    for path in ROOT.glob("configs/ris_*_code.yaml"):
        for phase in phase_configs(load_config(str(path))).values():
            assert phase.INPUT.PAD_CROP == 16
            assert "affine" not in phase.INPUT.AUGS


def test_kitti_masks_of_the_public_code_grow_and_keep_to_the_foreground():
    model = load_config("ris_kitti_code.yaml").MODEL
    assert (model.SEQUENTIAL.TEST.DILATION, model.RIS.FOREGROUND_THRESH) == (5, 0.3)


@pytest.mark.parametrize(
    ("name", "script", "balance"),
    [("voc", 0.5, 0.5), ("cityscapes", 0.5, 0.5), ("cvppp", 0.1, 0.5)],
)
def test_the_stop_loss_weighs_as_in_the_public_code(name, script, balance):
    """Its weight times the mean of a cross entropy whose two halves are balanced."""
    weight = load_config(f"rsis_{name}.yaml").MODEL.RSIS.LOSS_WEIGHTS.STOP
    logits, target = torch.tensor([2.0, 0.3, -1.2]), torch.tensor([1.0, 1.0, 0.0])
    probability = logits.sigmoid()
    positive = -balance * target * probability.log()
    negative = -(1 - balance) * (1 - target) * (1 - probability).log()
    ours = weight * stop_loss(logits[None], torch.tensor([2]), 1.0)
    torch.testing.assert_close(ours, script * (positive + negative).mean())


@pytest.mark.parametrize("family", ["ris", "rsis"])
def test_the_papers_leaf_models_train_on_all_labelled_images_and_submit(family):
    cfg = load_config(f"{family}_cvppp_trainval.yaml")
    for phase in phase_configs(cfg).values():
        assert phase.DATASETS.TRAIN == ("cvppp_a1_trainval",)
        assert phase.DATASETS.TEST == ("cvppp_a1_test",)
        assert phase.TEST.EVALUATOR == "cvppp_submission"
        assert not phase.TEST.VAL_LOSS
        assert phase.SOLVER.PLATEAU.PATIENCE == 0
    assert load_config(f"{family}_cvppp.yaml").DATASETS.TRAIN == ("cvppp_a1_train",)


@pytest.mark.parametrize("name", ["rsis_voc", "rsis_cityscapes"])
def test_masks_of_the_papers_average_precision_are_of_every_class(name):
    assert load_config(f"{name}.yaml").TEST.ALL_CLASSES


def test_coco_is_seen_at_deepmasks_scales_of_each_image():
    """Half an octave apart from 2^-2 to 2^1, in training and at test."""
    cfg = load_config("instancefcn_coco.yaml")
    scales = pytest.approx([2 ** (k / 2 - 2) for k in range(7)], abs=1e-4)
    assert (cfg.INPUT.RESIZE, cfg.MODEL.INSTANCE_FCN.TEST.SCALE_UNIT) == ("scale", "image")
    assert list(cfg.INPUT.RELATIVE_SIZES) == scales
    assert list(cfg.MODEL.INSTANCE_FCN.TEST.SCALES) == scales


def reached(cfg):
    """Objects that a phase with a curriculum by plateaus is asked for in the end, at most."""
    solver, steps = cfg.SOLVER, cfg.MODEL.SEQUENTIAL.STEPS
    raises = solver.MAX_ITER // cfg.TEST.EVAL_PERIOD // (solver.CURRICULUM.PATIENCE + 1)
    return min(solver.CURRICULUM.START + raises, solver.CURRICULUM.END or steps, steps)


@pytest.mark.parametrize("name", ["rsis_cvppp", "rsis_cvppp_code", "rsis_cityscapes"])
def test_objects_are_added_one_by_one_up_to_all(name):
    """Each phase goes on from what the one before it can have been asked for (section 3.3)."""
    phases = list(phase_configs(load_config(f"{name}.yaml")).values())
    before = 2
    for cfg in phases:
        assert (cfg.SOLVER.CURRICULUM.START or cfg.MODEL.SEQUENTIAL.STEPS) <= before
        before = reached(cfg) if cfg.SOLVER.CURRICULUM.START else before
    assert before == 20


class UniqueKeyLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in a mapping; YAML takes the last without a word."""

    def construct_mapping(self, node, deep=False):
        names = [key.value for key, _ in node.value]
        twice = {name for name in names if names.count(name) > 1}
        assert not twice, f"{node.start_mark}: {twice} stands twice"
        return super().construct_mapping(node, deep)


@pytest.mark.parametrize("path", [*CONFIGS, *BASES], ids=identify)
def test_no_key_stands_twice(path):
    assert yaml.load(path.read_text(), UniqueKeyLoader) == yaml.safe_load(path.read_text())


def test_a_key_that_stands_twice_would_be_found():
    with pytest.raises(AssertionError, match="'STEPS'"):
        yaml.load("MODEL:\n  STEPS: 1\n  WIDTH: 2\n  STEPS: 3\n", UniqueKeyLoader)


def keys(node, prefix=""):
    for key, value in node.items():
        name = f"{prefix}.{key}" if prefix else key
        if isinstance(value, dict):
            yield from keys(value, name)
        else:
            yield name


def set_keys(path):
    """Dotted names that a file sets, those inside of phases included."""
    document = yaml.safe_load(path.read_text())
    document.pop("_BASE_", None)
    for phase in document.get("SOLVER", {}).pop("PHASES", []):
        phase.pop("NAME")
        yield from keys(phase)
    yield from keys(document)


@pytest.fixture(scope="module")
def code():
    """All attributes and short strings of the code; what declares the keys reads none."""
    files = (ROOT / "recseg_d2").rglob("*.py")
    text = "\n".join(p.read_text() for p in files if p.name not in ("options.py", "defaults.py"))
    return set(re.findall(r"\.(\w+)", text)), set(re.findall(r"[\"'](\w+)(?=[\"'])", text))


@pytest.mark.parametrize("path", [*CONFIGS, *BASES], ids=identify)
def test_every_key_that_is_set_is_read_somewhere(path, code):
    attributes, strings = code
    for name in set_keys(path):
        leaf = name.rsplit(".", 1)[-1]
        read = {leaf, leaf.lower()} & attributes or leaf in strings
        assert read, f"{name} is read nowhere"
