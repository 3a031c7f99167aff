"""Every model, small enough for tests of training: config overrides by name."""

from __future__ import annotations

from recseg_d2.config import get_recseg_cfg

SIDE = 32

SHARED = [
    *("MODEL.DEVICE", "cpu", "MODEL.SEQUENTIAL.IMAGE_SIZE", (SIDE, SIDE)),
    *("MODEL.SEQUENTIAL.STEPS", 4, "MODEL.SMALL_ENCODER.WIDTHS", (4, 6)),
    *("MODEL.PIXEL_MEAN", [127.0] * 3, "MODEL.PIXEL_STD", [64.0] * 3),
    *("MODEL.BACKBONE.NAME", "build_small_encoder_backbone", "MODEL.BACKBONE.FREEZE_AT", 0),
    *("INPUT.MIN_SIZE_TRAIN", (SIDE,), "INPUT.MIN_SIZE_TEST", SIDE, "INPUT.AUGS", ()),
    *("SOLVER.OPTIMIZER", "SGD", "SOLVER.BASE_LR", 0.01, "SOLVER.WARMUP_ITERS", 0),
    *("SOLVER.IMS_PER_BATCH", 4, "SOLVER.MAX_ITER", 2, "SOLVER.LOG_PERIOD", 1),
    *("TEST.NUM_PICTURES", 0, "TEST.SAVE_PREDICTIONS", False),
]
# Random numbers are drawn by each process and for each part anew: none here.
MODELS = {
    "rsis": [
        *("MODEL.META_ARCHITECTURE", "ConvLSTMSemInstSeg", "MODEL.RSIS.HIDDEN_WIDTHS", (6, 4)),
    ],
    "ris": [
        *("MODEL.META_ARCHITECTURE", "RecurrentAttentionSeg", "MODEL.RIS.BOX.WIDTHS", (4, 6)),
        *("MODEL.RIS.PREPROCESSOR.ENABLED", False, "MODEL.RIS.BOX.POOLS", (2, 2)),
        *("MODEL.RIS.BOX.HIDDEN_WIDTH", 8, "MODEL.RIS.PATCH.SIZE", (8, 8)),
        *("MODEL.RIS.PATCH.WIDTHS", (4, 4), "MODEL.RIS.PATCH.POOLS", (2, 2)),
        *("MODEL.RIS.PATCH.DECODER_WIDTHS", (4, 4), "MODEL.RIS.PATCH.SKIPS", (True, False)),
        *("MODEL.RIS.SAMPLING.MASKS", "never", "MODEL.RIS.SAMPLING.BOXES", "never"),
    ],
    "instancefcn": [
        *("MODEL.META_ARCHITECTURE", "InstanceFCNProposal", "INPUT.RESIZE", "shortest_edge"),
        *("MODEL.INSTANCE_FCN.HEAD.BRANCH_WIDTH", 8, "MODEL.INSTANCE_FCN.TEST.SCALES", (SIDE,)),
        *("MODEL.INSTANCE_FCN.HEAD.WINDOW", 6, "MODEL.INSTANCE_FCN.HEAD.MASK_SIDE", 12),
        *("MODEL.INSTANCE_FCN.HEAD.SCORE_WIDTH", 8, "TEST.EVALUATOR", "label_map"),
        *("MODEL.INSTANCE_FCN.SAMPLING.NUM_WINDOWS", 10**6, "MODEL.SMALL_ENCODER.WIDTHS", (6,)),
    ],
}


def tiny_model_cfg(name: str, *opts: object):
    """The complete config of one of ``MODELS``."""
    cfg = get_recseg_cfg()
    cfg.merge_from_list([*SHARED, *MODELS[name], *opts])
    return cfg
