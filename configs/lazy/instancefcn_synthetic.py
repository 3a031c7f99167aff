"""InstanceFCNProposal, small, on synthetic rosettes."""

from detectron2.config import LazyCall as L

from recseg_d2.backbones.single import SmallFPNBackbone
from recseg_d2.config.nodes import with_tuples
from recseg_d2.config.options import ModelOptions
from recseg_d2.layers.small_fpn import SmallFPNOptions
from recseg_d2.meta_arch import InstanceFCNProposal
from recseg_d2.models.instance_fcn.options import HeadOptions, InstanceFCNOptions, ProposalOptions

from .common import dataloader, lr_multiplier, optimizer, shared, train  # noqa: F401

model = L(InstanceFCNProposal)(
    backbone=L(SmallFPNBackbone)(
        options=L(with_tuples)(
            options=L(SmallFPNOptions)(
                widths=(16, 32, 64, 96),
                blocks=(0, 1, 2, 3),
                out_width=64,
                stride=4,
            )
        )
    ),
    options=L(with_tuples)(
        options=L(InstanceFCNOptions)(
            head=L(HeadOptions)(window=15, branch_width=64),
            test=L(ProposalOptions)(scales=(96, 128)),
        )
    ),
    model_options=L(ModelOptions)(num_classes=1),
    **shared,
)
