"""Residual networks (He et al. 2016), state-dict names as Detectron2's. May use: torch, fvcore."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from fvcore.nn import weight_init
from torch import Tensor, nn

from detectron2.config import CfgNode
from detectron2.layers import CNNBlockBase, Conv2d, ShapeSpec, get_norm

from .backbone import Backbone
from .build import BACKBONE_REGISTRY

BLOCKS = {  # in res2 to res5; Table 1 of the paper
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
FIRST_BOTTLENECK_DEPTH = 50


def _conv(ins: int, outs: int, size: int, norm: Any, **kwargs: Any) -> Conv2d:
    """A convolution with a normalisation after it."""
    return Conv2d(ins, outs, kernel_size=size, bias=False, norm=get_norm(norm, outs), **kwargs)


def _initialise(*convs: Conv2d | None) -> None:
    """Draw weights for the ReLUs after them (He et al. 2015), in Detectron2's order of drawing."""
    for conv in convs:
        if conv is not None:
            weight_init.c2_msra_fill(conv)


class BasicStem(CNNBlockBase):
    """7x7 convolution of stride 2, then max pooling of stride 2."""

    def __init__(self, in_channels: int = 3, out_channels: int = 64, norm: Any = "BN") -> None:
        super().__init__(in_channels, out_channels, 4)
        self.conv1 = _conv(in_channels, out_channels, 7, norm, stride=2, padding=3)
        _initialise(self.conv1)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu_(self.conv1(x)), kernel_size=3, stride=2, padding=1)


class _ResidualBlock(CNNBlockBase):
    """Adds ``residual(x)`` to the input, which is projected where the channels change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Any) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.shortcut = None
        if in_channels != out_channels:
            self.shortcut = _conv(in_channels, out_channels, 1, norm, stride=stride)

    def residual(self, x: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, x: Tensor) -> Tensor:
        out = self.residual(x)
        out += x if self.shortcut is None else self.shortcut(x)
        return F.relu_(out)


class BasicBlock(_ResidualBlock):
    """Two 3x3 convolutions (depths 18 and 34)."""

    def __init__(
        self, in_channels: int, out_channels: int, *, stride: int = 1, norm: Any = "BN"
    ) -> None:
        super().__init__(in_channels, out_channels, stride, norm)
        self.conv1 = _conv(in_channels, out_channels, 3, norm, stride=stride, padding=1)
        self.conv2 = _conv(out_channels, out_channels, 3, norm, padding=1)
        _initialise(self.conv1, self.conv2, self.shortcut)

    def residual(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu_(self.conv1(x)))


class BottleneckBlock(_ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions (depths 50 and up).

    ``bottleneck_channels``, ``num_groups`` and ``dilation`` are of the 3x3 convolution; so is
    ``stride``, except with ``stride_in_1x1``, as MSRA's weights want it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck_channels: int,
        stride: int = 1,
        num_groups: int = 1,
        norm: Any = "BN",
        stride_in_1x1: bool = False,
        dilation: int = 1,
    ) -> None:
        super().__init__(in_channels, out_channels, stride, norm)
        width = bottleneck_channels
        stride_1x1, stride_3x3 = (stride, 1) if stride_in_1x1 else (1, stride)
        spacing = {"stride": stride_3x3, "padding": dilation, "dilation": dilation}
        self.conv1 = _conv(in_channels, width, 1, norm, stride=stride_1x1)
        self.conv2 = _conv(width, width, 3, norm, groups=num_groups, **spacing)
        self.conv3 = _conv(width, out_channels, 1, norm)
        _initialise(self.conv1, self.conv2, self.conv3, self.shortcut)

    def residual(self, x: Tensor) -> Tensor:
        return self.conv3(F.relu_(self.conv2(F.relu_(self.conv1(x)))))


class ResNet(Backbone):
    """A stem, then stages "res2", "res3" ..., then optionally a classifier "linear"."""

    def __init__(
        self,
        stem: CNNBlockBase,
        stages: Sequence[Sequence[CNNBlockBase]],
        num_classes: int | None = None,
        out_features: list[str] | None = None,
        freeze_at: int = 0,
    ) -> None:
        """Put blocks together.

        Args:
            stem: the first block.
            stages: the blocks of each stage; stages after the last wanted one are dropped.
            num_classes: outputs of the classifier; None leaves it out.
            out_features: names of what ``forward`` returns; None is the last.
            freeze_at: see ``freeze``.
        """
        super().__init__()
        self.stem, self.num_classes = stem, num_classes
        self._out_feature_strides = {"stem": stem.stride}
        self._out_feature_channels = {"stem": stem.out_channels}
        names = [f"res{number}" for number in range(2, 2 + len(stages))]
        available = ["stem", *names] + ([] if num_classes is None else ["linear"])
        self._out_features = available[-1:] if out_features is None else out_features
        unknown = sorted(set(self._out_features) - set(available))
        assert not unknown, f"out_features {unknown}: available are {', '.join(available)}."
        if "linear" not in self._out_features:
            names = names[: max(available.index(name) for name in self._out_features)]
        self.stage_names = tuple(names)
        stride, channels = stem.stride, stem.out_channels
        for name, blocks in zip(names, stages, strict=False):
            self.add_module(name, nn.Sequential(*blocks))
            stride *= math.prod(block.stride for block in blocks)
            channels = blocks[-1].out_channels
            self._out_feature_strides[name], self._out_feature_channels[name] = stride, channels
        if num_classes is not None:
            self.linear = nn.Linear(channels, num_classes)
            nn.init.normal_(self.linear.weight, std=0.01)  # Goyal et al. 2017, section 5.1
        self.freeze(freeze_at)

    @property
    def stages(self) -> list[nn.Module]:
        return [getattr(self, name) for name in self.stage_names]

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Features of images (N, C, H, W)."""
        assert x.dim() == 4, f"ResNet takes an input of shape (N, C, H, W). Got {x.shape} instead!"
        outputs = {"stem": self.stem(x)}
        x = outputs["stem"]
        for name, stage in zip(self.stage_names, self.stages, strict=True):
            outputs[name] = x = stage(x)
        if self.num_classes is not None:
            outputs["linear"] = self.linear(x.mean(dim=(2, 3)))
        return {name: value for name, value in outputs.items() if name in self._out_features}

    def freeze(self, freeze_at: int = 0) -> ResNet:
        """Stop training the first blocks: 1 is the stem, 2 also res2, and so on."""
        if freeze_at >= 1:
            self.stem.freeze()
        for stage in self.stages[: max(freeze_at - 1, 0)]:
            for block in stage.children():
                block.freeze()  # type: ignore[operator]
        return self

    @staticmethod
    def make_stage(
        block_class: Any, num_blocks: int, *, in_channels: int, out_channels: int, **kwargs: Any
    ) -> list[CNNBlockBase]:
        """Blocks of a stage; of an argument ``x_per_block`` each block gets its own as ``x``."""
        shared = {k: v for k, v in kwargs.items() if not k.endswith("_per_block")}
        own = {k.removesuffix("_per_block"): v for k, v in kwargs.items() if k not in shared}
        assert not shared.keys() & own.keys(), f"Given twice: {sorted(shared.keys() & own.keys())}."
        for name, values in own.items():
            assert len(values) == num_blocks, f"{name}_per_block needs {num_blocks} values."
        blocks = []
        for index in range(num_blocks):
            arguments = {**shared, **{name: values[index] for name, values in own.items()}}
            ins = out_channels if index else in_channels
            blocks.append(block_class(in_channels=ins, out_channels=out_channels, **arguments))
        return blocks

    @staticmethod
    def make_default_stages(
        depth: int, block_class: Any = None, **kwargs: Any
    ) -> list[list[CNNBlockBase]]:
        """Stages of the network of a depth in ``BLOCKS``; other arguments are for the blocks."""
        out_channels = 256 if depth >= FIRST_BOTTLENECK_DEPTH else 64
        return _make_stages(depth, block_class, 64, out_channels, out_channels // 4, **kwargs)


def _make_stages(
    depth: int,
    block_class: Any,
    channels: int,
    out_channels: int,
    width: int,
    last_dilation: int = 1,
    **kwargs: Any,
) -> list[list[CNNBlockBase]]:
    """Four stages; channels and the bottleneck's width double from one to the next."""
    bottleneck = depth >= FIRST_BOTTLENECK_DEPTH
    block_class = block_class or (BottleneckBlock if bottleneck else BasicBlock)
    stages = []
    for number, num_blocks in enumerate(BLOCKS[depth]):
        dilated = last_dilation > 1 and number == 3
        strides = [1 if number == 0 or dilated else 2] + [1] * (num_blocks - 1)
        own: dict[str, Any] = {"stride_per_block": strides, **kwargs}
        own.update({"bottleneck_channels": width * 2**number} if bottleneck else {})
        own.update({"dilation": last_dilation} if dilated else {})
        sizes = {"in_channels": channels, "out_channels": out_channels}
        stages.append(ResNet.make_stage(block_class, num_blocks, **sizes, **own))
        channels, out_channels = out_channels, 2 * out_channels
    return stages


@BACKBONE_REGISTRY.register()
def build_resnet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> ResNet:
    """The ResNet that ``cfg.MODEL.RESNETS`` describes; AssertionError for what it cannot."""
    node = cfg.MODEL.RESNETS
    assert not any(node.DEFORM_ON_PER_STAGE), "Deformable convolutions need the real Detectron2."
    assert node.RES5_DILATION in (1, 2), f"RES5_DILATION is 1 or 2, not {node.RES5_DILATION}."
    assert input_shape.channels is not None, "The input's number of channels is needed."
    stem = BasicStem(input_shape.channels, node.STEM_OUT_CHANNELS, norm=node.NORM)
    kwargs = {"norm": node.NORM}
    if node.DEPTH >= FIRST_BOTTLENECK_DEPTH:
        kwargs.update(num_groups=node.NUM_GROUPS, stride_in_1x1=node.STRIDE_IN_1X1)
    else:
        assert node.RES2_OUT_CHANNELS == 64, "Set MODEL.RESNETS.RES2_OUT_CHANNELS = 64 for R18/R34"
        assert node.RES5_DILATION == 1, "Set MODEL.RESNETS.RES5_DILATION = 1 for R18/R34"
        assert node.NUM_GROUPS == 1, "Set MODEL.RESNETS.NUM_GROUPS = 1 for R18/R34"
    stages = _make_stages(
        *(node.DEPTH, None, node.STEM_OUT_CHANNELS, node.RES2_OUT_CHANNELS),
        *(node.NUM_GROUPS * node.WIDTH_PER_GROUP, node.RES5_DILATION),
        **kwargs,
    )
    freeze_at = cfg.MODEL.BACKBONE.FREEZE_AT
    return ResNet(stem, stages, out_features=node.OUT_FEATURES, freeze_at=freeze_at)
