"""Models as files that run without this package: ``torch.export`` and ONNX.

What is exported is the network with its normalisation, for one image of one size and a fixed number
of steps: no step depends on what another found. What comes after it is arithmetic on the outputs,
which ``tools/run_onnx.py`` shows.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from recseg_d2.errors import UserError
from recseg_d2.files import make_place
from recseg_d2.meta_arch import InstanceFCNProposal
from recseg_d2.meta_arch.sequential import SequentialModel
from recseg_d2.models.instance_fcn.proposals import dense_windows

FORMATS = {".pt2": "torch.export", ".onnx": "ONNX"}


class ExportableSequence(nn.Module):
    """A sequential model: an image to the objects of all its steps.

    The input ``image`` is (1, channels, H, W) float, pixel values as they are stored, at the
    working resolution. Outputs are ``masks`` (T, H, W) and ``scores`` (T,), probabilities, and of
    a model with classes ``classes`` (T, C), probabilities.

    Args:
        model: in evaluation mode.
        steps: T.
    """

    input_names = ("image",)

    def __init__(self, model: SequentialModel, steps: int) -> None:
        super().__init__()
        self.model, self.steps = model, steps

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        sequence = self.model.run_sequence(self.model.normalised(image[0])[None], self.steps)
        found = [sequence.mask_logits[0].sigmoid(), sequence.score_logits[0].sigmoid()]
        if sequence.class_logits is not None:
            found.append(sequence.class_logits[0].softmax(dim=-1))
        return tuple(found)

    def example(self) -> tuple[torch.Tensor, ...]:
        """Inputs of the right sizes."""
        return (_image(self.model.in_channels, self.model.image_size),)

    @property
    def output_names(self) -> list[str]:
        """Names of the outputs."""
        return ["masks", "scores", "classes"][: len(self(*self.example()))]


class ExportableProposals(nn.Module):
    """InstanceFCNProposal: an image to its best windows at one scale, before suppression.

    The input ``image`` is (1, 3, H, W) float, pixel values as they are stored. Outputs, the best
    first: ``masks`` (K, s, s), probabilities in windows, ``windows`` (K, 4), x1 y1 x2 y2 in pixels,
    and ``scores`` (K,), probabilities.

    Args:
        model: in evaluation mode.
        size: H and W, multiples of the model's stride.
        count: K.
    """

    input_names = ("image",)
    output_names = ("masks", "windows", "scores")

    def __init__(self, model: InstanceFCNProposal, size: tuple[int, int], count: int) -> None:
        super().__init__()
        stride = model.network.stride
        if size[0] % stride or size[1] % stride:
            raise UserError(f"--size is {size[0]} {size[1]}; expected multiples of {stride}.")
        cells = size[0] * size[1] // stride**2
        self.model, self.size, self.count = model, size, min(count, cells)
        every = dense_windows(1, size[0] // stride, size[1] // stride, torch.device("cpu"))
        self.register_buffer("every", every)

    every: torch.Tensor

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """See the class."""
        network = self.model.network
        maps = network(self.model.normalised(image[0])[None])
        scores, best = maps.objectness.flatten().sigmoid().topk(self.count)
        windows = self.every[best]
        masks = network.mask_logits(maps, windows).sigmoid()
        return masks, network.geometry.boxes(windows).float(), scores

    def example(self) -> tuple[torch.Tensor, ...]:
        """Inputs of the right sizes."""
        return (_image(self.model.in_channels, self.size),)


Exportable = ExportableSequence | ExportableProposals


def exportable(model: nn.Module, size: tuple[int, int], count: int) -> Exportable:
    """What a model exports.

    Args:
        model: with its weights.
        size: height and width of images, for models that have no size of their own.
        count: steps, or windows; 0 is all steps, or 100 windows.

    Raises:
        UserError: the model is none with a fixed way through an image.
    """
    model = model.eval().cpu()
    if isinstance(model, SequentialModel):
        return ExportableSequence(model, count or model.steps)
    if isinstance(model, InstanceFCNProposal):
        return ExportableProposals(model, size, count or 100)
    raise UserError(
        f"{type(model).__name__} cannot be exported: what it computes depends on what it finds, or "
        "on what it is given beside the image."
    )


def export(module: Exportable, path: str | Path) -> Path:
    """Write a model to a file; its ending, ".pt2" or ".onnx", says which kind.

    Raises:
        UserError: another ending, or ONNX's packages are missing.
    """
    path = Path(path)
    if path.suffix not in FORMATS:
        kinds = ", ".join(f"{ending} ({kind})" for ending, kind in FORMATS.items())
        raise UserError(f"--output is {path}; expected a name that ends in one of {kinds}.")
    missing = [n for n in ("onnx", "onnxscript") if importlib.util.find_spec(n) is None]
    if path.suffix == ".onnx" and missing:
        raise UserError(f"ONNX needs {' and '.join(missing)}: pip install recseg_d2[onnx].")
    make_place(path)
    write: Callable[[Exportable, Path], None] = (
        _write_onnx if path.suffix == ".onnx" else _write_pt2
    )
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        with torch.no_grad():
            write(module, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _write_pt2(module: Exportable, path: Path) -> None:
    torch.export.save(torch.export.export(module, module.example()), path)


def _write_onnx(module: Exportable, path: Path) -> None:
    torch.onnx.export(
        module,
        module.example(),
        str(path),
        input_names=list(module.input_names),
        output_names=list(module.output_names),
        dynamo=True,
        external_data=False,
        verbose=False,
    )


def _image(channels: int, size: tuple[int, int]) -> torch.Tensor:
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(0)) * 255
