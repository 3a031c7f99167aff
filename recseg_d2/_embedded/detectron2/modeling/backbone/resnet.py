"""Residual networks (He et al. 2016), state-dict names as Detectron2's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch.nn.functional as F
from fvcore.nn import weight_init
from torch import Tensor, nn

from detectron2.config import CfgNode
from detectron2.layers import CNNBlockBase, Conv2d, ShapeSpec, get_norm

from .backbone import BACKBONE_REGISTRY, Backbone

BLOCKS = {  # in res2 to res5; Table 1 of the paper
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}
FIRST_BOTTLENECK_DEPTH = 50


def _conv(ins: int, outs: int, size: int, norm: Any, stride: int = 1) -> Conv2d:
    """A padded convolution with a normalisation after it."""
    norm = get_norm(norm, outs)
    return Conv2d(ins, outs, size, stride=stride, padding=size // 2, bias=False, norm=norm)


def _initialise(*convs: Conv2d | None) -> None:
    """Draw weights for the ReLUs after them (He et al. 2015), in Detectron2's order of drawing."""
    for conv in convs:
        if conv is not None:
            weight_init.c2_msra_fill(conv)


class BasicStem(CNNBlockBase):
    """7x7 convolution of stride 2, then max pooling of stride 2."""

    def __init__(self, in_channels: int = 3, out_channels: int = 64, norm: Any = "BN") -> None:
        super().__init__(in_channels, out_channels, 4)
        self.conv1 = _conv(in_channels, out_channels, 7, norm, stride=2)
        _initialise(self.conv1)

    def forward(self, x: Tensor) -> Tensor:
        return F.max_pool2d(F.relu_(self.conv1(x)), kernel_size=3, stride=2, padding=1)


class _ResidualBlock(CNNBlockBase):
    """Adds ``residual(x)`` to the input, which is projected where the channels change."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, norm: Any) -> None:
        super().__init__(in_channels, out_channels, stride)
        self.shortcut = None
        if in_channels != out_channels:
            self.shortcut = _conv(in_channels, out_channels, 1, norm, stride)

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
        self.conv1 = _conv(in_channels, out_channels, 3, norm, stride)
        self.conv2 = _conv(out_channels, out_channels, 3, norm)
        _initialise(self.conv1, self.conv2, self.shortcut)

    def residual(self, x: Tensor) -> Tensor:
        return self.conv2(F.relu_(self.conv1(x)))


class BottleneckBlock(_ResidualBlock):
    """1x1, 3x3 and 1x1 convolutions (depths 50 and up).

    The 3x3 convolution has ``bottleneck_channels`` and the stride, except with ``stride_in_1x1``,
    as MSRA's weights want it.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        bottleneck_channels: int,
        stride: int = 1,
        norm: Any = "BN",
        stride_in_1x1: bool = False,
    ) -> None:
        super().__init__(in_channels, out_channels, stride, norm)
        strides = (stride, 1) if stride_in_1x1 else (1, stride)
        self.conv1 = _conv(in_channels, bottleneck_channels, 1, norm, strides[0])
        self.conv2 = _conv(bottleneck_channels, bottleneck_channels, 3, norm, strides[1])
        self.conv3 = _conv(bottleneck_channels, out_channels, 1, norm)
        _initialise(self.conv1, self.conv2, self.conv3, self.shortcut)

    def residual(self, x: Tensor) -> Tensor:
        return self.conv3(F.relu_(self.conv2(F.relu_(self.conv1(x)))))


class ResNet(Backbone):
    """A stem, then stages "res2", "res3" ...; there is no classifier."""

    def __init__(
        self,
        stem: CNNBlockBase,
        stages: Sequence[Sequence[CNNBlockBase]],
        *,
        out_features: list[str] | None = None,
        freeze_at: int = 0,
    ) -> None:
        """Put blocks together.

        Args:
            stem: the first block.
            stages: the blocks of each stage; stages after the last wanted one are dropped.
            out_features: names of what ``forward`` returns; None is the last.
            freeze_at: see ``freeze``.
        """
        super().__init__()
        self.stem = stem
        names = ["stem", *(f"res{number}" for number in range(2, 2 + len(stages)))]
        self._out_features = names[-1:] if out_features is None else out_features
        unknown = sorted(set(self._out_features) - set(names))
        assert not unknown, f"out_features {unknown}: available are {', '.join(names)}."
        last = max(names.index(name) for name in self._out_features)
        self.stage_names = tuple(names[1 : last + 1])
        stride, channels = stem.stride, stem.out_channels
        self._out_feature_strides, self._out_feature_channels = {"stem": stride}, {"stem": channels}
        for name, blocks in zip(self.stage_names, stages, strict=False):
            self.add_module(name, nn.Sequential(*blocks))
            stride *= math.prod(block.stride for block in blocks)
            self._out_feature_strides[name] = stride
            self._out_feature_channels[name] = blocks[-1].out_channels
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
    def make_default_stages(
        depth: int, block_class: Any = None, **kwargs: Any
    ) -> list[list[CNNBlockBase]]:
        """Stages of the network of a depth in ``BLOCKS``; other arguments are for the blocks."""
        bottleneck = depth >= FIRST_BOTTLENECK_DEPTH
        block_class = block_class or (BottleneckBlock if bottleneck else BasicBlock)
        channels, out_channels = 64, 256 if bottleneck else 64
        stages = []
        for number, num_blocks in enumerate(BLOCKS[depth]):
            if bottleneck:
                kwargs["bottleneck_channels"] = out_channels // 4
            first_stride = 1 if number == 0 else 2
            blocks = [block_class(channels, out_channels, stride=first_stride, **kwargs)]
            for _ in range(1, num_blocks):
                blocks.append(block_class(out_channels, out_channels, **kwargs))
            stages.append(blocks)
            channels, out_channels = out_channels, 2 * out_channels
        return stages


@BACKBONE_REGISTRY.register()
def build_resnet_backbone(cfg: CfgNode, input_shape: ShapeSpec) -> ResNet:
    """The ResNet that ``cfg.MODEL.RESNETS`` describes."""
    node = cfg.MODEL.RESNETS
    assert input_shape.channels is not None, "The input's number of channels is needed."
    bottleneck = node.DEPTH >= FIRST_BOTTLENECK_DEPTH
    width = 256 if bottleneck else 64
    assert width == node.RES2_OUT_CHANNELS, (
        f"Set MODEL.RESNETS.RES2_OUT_CHANNELS = {width} for DEPTH {node.DEPTH}."
    )
    kwargs = {"stride_in_1x1": node.STRIDE_IN_1X1} if bottleneck else {}
    stem = BasicStem(input_shape.channels, node.STEM_OUT_CHANNELS, node.NORM)
    stages = ResNet.make_default_stages(node.DEPTH, norm=node.NORM, **kwargs)
    freeze_at = cfg.MODEL.BACKBONE.FREEZE_AT
    return ResNet(stem, stages, out_features=node.OUT_FEATURES, freeze_at=freeze_at)
