"""ConvLSTMSemInstSeg, small, on synthetic rosettes."""

from detectron2.config import LazyCall as L

from recseg_d2.backbones.plain import SmallEncoderBackbone
from recseg_d2.config.nodes import with_tuples
from recseg_d2.config.options import ModelOptions, SequentialOptions
from recseg_d2.layers.small_encoder import SmallEncoderOptions
from recseg_d2.meta_arch import ConvLSTMSemInstSeg
from recseg_d2.models.convlstm.options import ConvLSTMOptions

from .common import dataloader, lr_multiplier, optimizer, shared, train  # noqa: F401

model = L(ConvLSTMSemInstSeg)(
    backbone=L(SmallEncoderBackbone)(
        options=L(with_tuples)(
            options=L(SmallEncoderOptions)(widths=(32, 48, 96, 128), coordinates=True)
        )
    ),
    options=L(with_tuples)(
        options=L(ConvLSTMOptions)(
            hidden_widths=(64, 48, 16, 8),
            coordinates=True,
            forget_bias=1.0,
            box_head=False,
        )
    ),
    sequential=L(with_tuples)(options=L(SequentialOptions)(image_size=(96, 96), steps=9)),
    model_options=L(ModelOptions)(num_classes=1),
    **shared,
)
