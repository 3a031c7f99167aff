"""Models as files that run without this package: ``torch.export`` and ONNX.

What is exported is a model with its normalisation, for one image of one size and a fixed number of
steps, see ``exportables``; what is left to do with the outputs is in ``tools/run_onnx.py``.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import IO

import torch

from recseg_d2.engine.exportables import Exportable
from recseg_d2.errors import UserError
from recseg_d2.files import make_place, write_whole

FORMATS = {".pt2": "torch.export", ".onnx": "ONNX"}


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
    make_place(path)  # exporting may take a while
    write = _write_onnx if path.suffix == ".onnx" else _write_pt2
    with torch.no_grad(), write_whole(path, "wb") as file:
        write(module, file)
    return path


def _write_pt2(module: Exportable, file: IO[bytes]) -> None:
    torch.export.save(torch.export.export(module, module.example()), file)


def _write_onnx(module: Exportable, file: IO[bytes]) -> None:
    program = torch.onnx.export(
        module,
        module.example(),
        input_names=list(module.input_names),
        output_names=list(module.output_names),
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    file.write(program.model_proto.SerializeToString())
