import pytest
import torch
from detectron2.modeling import build_model
from detectron2.structures import BitMasks, Instances

from recseg_d2.config import get_recseg_cfg, load_config
from recseg_d2.engine.solver import build_lr_scheduler, build_optimizer
from recseg_d2.errors import UserError
from recseg_d2.layers import nms
from recseg_d2.models.instance_fcn import proposals, training


def tiny_cfg(**options):
    cfg = get_recseg_cfg()
    cfg.MODEL.META_ARCHITECTURE = "InstanceFCNProposal"
    cfg.MODEL.DEVICE = "cpu"
    cfg.MODEL.BACKBONE.NAME = "build_small_fpn_backbone"
    cfg.MODEL.SMALL_FPN.WIDTHS = (8, 8, 16)
    cfg.MODEL.SMALL_FPN.BLOCKS = (0, 0, 1)
    cfg.MODEL.SMALL_FPN.OUT_WIDTH = 16
    cfg.MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH = 8
    cfg.MODEL.INSTANCE_FCN.HEAD.WINDOW = 7
    cfg.MODEL.INSTANCE_FCN.HEAD.PARTS = 3
    cfg.MODEL.INSTANCE_FCN.TEST.SCALES = (32, 48)
    for key, value in options.items():
        cfg.merge_from_list([key.replace("__", "."), value])
    return cfg


def make(**options):
    torch.manual_seed(0)
    return build_model(tiny_cfg(**options))


def example(size=(37, 50), objects=2, **more):
    masks = torch.zeros(objects, *size, dtype=torch.bool)
    for n in range(objects):
        masks[n, 4 + 8 * n : 20 + 8 * n, 5:21] = True
    instances = Instances(size)
    instances.gt_masks = BitMasks(masks)
    instances.gt_classes = torch.full((objects,), 7)  # classes do not matter
    image = torch.randint(0, 256, (3, *size), dtype=torch.uint8)
    return {"image": image, "instances": instances, **more}


HEADS = [
    {},
    {"MODEL__INSTANCE_FCN__SAMPLING__SOFT_TARGETS": True},
    {"MODEL__INSTANCE_FCN__SAMPLING__CROP_SIZE": 32},
    {
        "MODEL__INSTANCE_FCN__HEAD__MASK_HEAD": "deepmask",
        "MODEL__INSTANCE_FCN__HEAD__WINDOW": 8,
        "MODEL__INSTANCE_FCN__HEAD__MASK_SIDE": 16,
    },
]


@pytest.mark.parametrize("options", HEADS)
def test_images_of_any_size_train_and_all_parameters_get_gradients(options):
    model = make(**options)
    losses = model([example(), example((64, 41)), example((37, 50))])
    assert set(losses) == {"loss_objectness", "loss_mask"}
    sum(losses.values()).backward()
    missing = [n for n, p in model.named_parameters() if p.grad is None]
    assert missing == []


@pytest.mark.parametrize("options", HEADS)
def test_images_of_any_size_are_predicted_at_the_size_that_is_asked_for(options):
    model = make(**options).eval()
    with torch.no_grad():
        one, other = model([example(), example((64, 41), height=100, width=60)])
    for output, size in ((one, (37, 50)), (other, (100, 60))):
        proposals, instances = output["proposals"], output["instances"]
        assert proposals.image_size == instances.image_size == size
        assert proposals.pred_masks.shape[1:] == size
        assert proposals.objectness_logits.diff().le(0).all()
        assert len(proposals.proposal_boxes) == len(proposals) > 0


def test_images_without_objects_train():
    empty = Instances((37, 50), gt_classes=torch.zeros(0, dtype=torch.int64))
    losses = make()([{**example(), "instances": empty}])
    assert losses["loss_mask"] == 0
    assert torch.isfinite(losses["loss_objectness"])
    sum(losses.values()).backward()


def test_weights_of_the_losses():
    plain, heavy = make(), make(MODEL__INSTANCE_FCN__LOSS_WEIGHTS__MASK=3.0)
    values = []
    for model in (plain, heavy):
        torch.manual_seed(1)
        values.append(model([example()]))
        torch.manual_seed(1)
    torch.testing.assert_close(3 * values[0]["loss_mask"], values[1]["loss_mask"])
    torch.testing.assert_close(values[0]["loss_objectness"], values[1]["loss_objectness"])


def test_windows_are_drawn_from_torchs_seed():
    model = make(MODEL__INSTANCE_FCN__SAMPLING__NUM_WINDOWS=8)
    batch = [example()]
    values = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        values.append(model(batch)["loss_objectness"].item())
    assert values[0] == values[1] != values[2]


def test_the_loss_of_validation_needs_no_training_mode():
    model = make().eval()
    with torch.no_grad():
        assert set(model.losses([example()])) == {"loss_objectness", "loss_mask"}


def test_the_finest_feature_is_taken_unless_another_is_named():
    options = {
        "MODEL__BACKBONE__NAME": "build_small_encoder_backbone",
        "MODEL__SMALL_ENCODER__WIDTHS": (4, 6, 8),
    }
    assert make(**options).network.stride == 2
    assert make(**options, MODEL__INSTANCE_FCN__FEATURE="s8").network.stride == 8
    with pytest.raises(UserError, match=r"FEATURE is 's3'; expected one of s2, s4, s8"):
        make(**options, MODEL__INSTANCE_FCN__FEATURE="s3")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("HEAD.PARTS", 8, "8; expected 1 to 7"),
        ("HEAD.MASK_HEAD", "fc", "'fc'; expected one of assembling, deepmask"),
        ("LABELS.POSITIVE_SHIFT", 0.5, r"0\.5; expected above 0, and not above negatives'"),
        ("SAMPLING.CROP_SIZE", 24, r"24; expected 0 \(whole images\)"),
        ("SAMPLING.CROP_SIZE", 30, r"30; expected 0 \(whole images\)"),
        ("SAMPLING.NUM_WINDOWS", 0, "0; expected 1 or more"),
        ("SAMPLING.POSITIVE_FRACTION", 1.5, r"1\.5; expected 0 to 1"),
    ],
)
def test_values_that_cannot_work_are_refused_by_name(key, value, message):
    with pytest.raises(UserError, match=rf"MODEL\.INSTANCE_FCN\.{key} is {message}"):
        make(**{f"MODEL__INSTANCE_FCN__{key.replace('.', '__')}": value})


def test_the_backbone_has_its_own_learning_rate():
    cfg = tiny_cfg(SOLVER__BACKBONE_MULTIPLIER=0.1, SOLVER__BASE_LR=1.0)
    model = build_model(cfg)
    groups = build_optimizer(cfg, model).param_groups
    rates = {id(p): group["lr"] for group in groups for p in group["params"]}
    for name, parameter in model.named_parameters():
        assert rates[id(parameter)] == pytest.approx(0.1 if ".backbone." in name else 1.0)


def test_the_schedule_of_the_paper():
    cfg = load_config("instancefcn_voc.yaml")
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([parameter], lr=cfg.SOLVER.BASE_LR)
    scheduler = build_lr_scheduler(cfg, optimizer)
    rates = {}
    for iteration in range(cfg.SOLVER.MAX_ITER):
        rates[iteration] = optimizer.param_groups[0]["lr"]
        optimizer.step()
        scheduler.step()
    assert len(rates) == 40000
    assert rates[0] == rates[31999] == pytest.approx(1e-3)
    assert rates[32000] == rates[39999] == pytest.approx(1e-4)
    assert (cfg.SOLVER.OPTIMIZER, cfg.SOLVER.MOMENTUM) == ("SGD", 0.9)
    assert (cfg.SOLVER.WEIGHT_DECAY, cfg.SOLVER.IMS_PER_BATCH) == (0.0005, 8)
    assert list(cfg.INPUT.MIN_SIZE_TRAIN) == [118, 178, 267, 400, 600, 900]


@pytest.mark.parametrize("options", [HEADS[0], HEADS[3]])
def test_in_bfloat16_matching_losses_and_suppression_are_float32(options, monkeypatch):
    seen: dict[str, set[torch.dtype]] = {}

    def spy(module, name):
        real = getattr(module, name)

        def call(*args, **kwargs):
            kinds = {a.dtype for a in args if isinstance(a, torch.Tensor) and a.is_floating_point()}
            seen.setdefault(name, set()).update(kinds)
            return real(*args, **kwargs)

        monkeypatch.setattr(module, name, call)

    for name in ("label_windows", "objectness_loss", "proposal_mask_loss"):
        spy(training, name)
    spy(proposals, "tight_boxes")
    spy(nms, "box_iou")
    model = make(MODEL__PRECISION="bfloat16", **options)
    in_convolution = []
    model.network.score_branch.register_forward_hook(lambda *x: in_convolution.append(x[2].dtype))
    losses = model([example()])
    with torch.no_grad():
        (output,) = model.eval()([example()])
    assert set(in_convolution) == {torch.bfloat16}
    assert seen.keys() >= {"label_windows", "objectness_loss", "tight_boxes", "box_iou"}
    assert all(kinds == {torch.float32} for kinds in seen.values())
    assert {loss.dtype for loss in losses.values()} == {torch.float32}
    assert output["proposals"].objectness_logits.dtype == torch.float32
