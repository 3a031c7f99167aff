"""DenseAttentionSeg on synthetic rosettes."""

from detectron2.config import LazyCall as L

from recseg_d2.backbones.plain import ResidualEncoderBackbone
from recseg_d2.config.nodes import with_tuples
from recseg_d2.config.options import ModelOptions
from recseg_d2.layers.residual_encoder import ResidualEncoderOptions
from recseg_d2.meta_arch import DenseAttentionSeg
from recseg_d2.models.dense_attention.options import DenseAttentionOptions, NetworkOptions

from .common import dataloader, lr_multiplier, optimizer, shared, train  # noqa: F401

model = L(DenseAttentionSeg)(
    backbone=L(ResidualEncoderBackbone)(
        options=L(with_tuples)(options=L(ResidualEncoderOptions)()), in_channels=3
    ),
    options=L(with_tuples)(
        options=L(DenseAttentionOptions)(network=L(NetworkOptions)(log_contrast=False))
    ),
    model_options=L(ModelOptions)(num_classes=1),
    **shared,
)
