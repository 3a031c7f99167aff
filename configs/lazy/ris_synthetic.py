"""RecurrentAttentionSeg, small, without pre-processor, in one phase, on synthetic rosettes."""

from detectron2.config import LazyCall as L

from recseg_d2.config.nodes import with_tuples
from recseg_d2.config.options import ModelOptions, SequentialOptions
from recseg_d2.meta_arch import RecurrentAttentionSeg
from recseg_d2.models.recurrent_attention.options import (
    BoxOptions,
    PatchOptions,
    PreprocessorOptions,
    RecurrentAttentionOptions,
)

from .common import dataloader, lr_multiplier, optimizer, shared, train  # noqa: F401

model = L(RecurrentAttentionSeg)(
    options=L(with_tuples)(
        options=L(RecurrentAttentionOptions)(
            full_sequences=False,
            init_std=0.0,
            preprocessor=L(PreprocessorOptions)(enabled=False),
            box=L(BoxOptions)(
                widths=(16, 24, 32, 48, 64),
                pools=(2, 1, 2, 1, 2),
                hidden_width=128,
                coordinates=True,
            ),
            patch=L(PatchOptions)(
                size=(32, 32),
                widths=(16, 24, 24, 32, 32, 48),
                decoder_widths=(32, 32, 24, 24, 16, 16),
                positive=False,
            ),
        )
    ),
    sequential=L(with_tuples)(options=L(SequentialOptions)(image_size=(96, 96), steps=9)),
    model_options=L(ModelOptions)(num_classes=1),
    **shared,
)
