"""What the LazyConfigs share: data, optimiser and length of ``tools/lazyconfig_train_net.py``.

They need Detectron2 itself, whose embedded subset has no LazyConfig: in its folder,
``python tools/lazyconfig_train_net.py --config-file <here>/rsis_synthetic.py``.
"""

import torch
from detectron2.config import LazyCall as L
from detectron2.data import (
    DatasetMapper,
    build_detection_test_loader,
    build_detection_train_loader,
    get_detection_dataset_dicts,
)
from detectron2.solver import WarmupParamScheduler
from detectron2.solver.build import get_default_optimizer_params
from fvcore.common.param_scheduler import CosineParamScheduler

import recseg_d2  # noqa: F401
from recseg_d2.evaluation.label_map import LabelMapEvaluator

DATA = "synthetic_rosettes_{}"
mapper = L(DatasetMapper)(
    is_train=True,
    augmentations=[],
    image_format="RGB",
    use_instance_mask=True,
    instance_mask_format="bitmask",
)
dataloader = dict(
    train=L(build_detection_train_loader)(
        dataset=L(get_detection_dataset_dicts)(names=DATA.format("train")),
        mapper=mapper,
        total_batch_size=8,
        num_workers=2,
        aspect_ratio_grouping=False,
    ),
    test=L(build_detection_test_loader)(
        dataset=L(get_detection_dataset_dicts)(names=DATA.format("val"), filter_empty=False),
        mapper={**mapper, "is_train": False},
        num_workers=2,
    ),
    evaluator=L(LabelMapEvaluator)(dataset_name=DATA.format("val")),
)
optimizer = L(torch.optim.AdamW)(
    params=L(get_default_optimizer_params)(weight_decay_norm=0.0), lr=0.001, weight_decay=0.01
)
train = dict(
    output_dir="./output",
    init_checkpoint="",
    max_iter=2000,
    amp=dict(enabled=False),
    ddp=dict(broadcast_buffers=False, find_unused_parameters=False),
    checkpointer=dict(period=500, max_to_keep=10),
    eval_period=500,
    log_period=20,
    device="cuda" if torch.cuda.is_available() else "cpu",
)
lr_multiplier = L(WarmupParamScheduler)(
    scheduler=L(CosineParamScheduler)(start_value=1.0, end_value=0.01),
    warmup_length=50 / 2000,
    warmup_factor=0.001,
)
shared = dict(pixel_mean=[127.5, 127.5, 127.5], pixel_std=[64.0, 64.0, 64.0])
