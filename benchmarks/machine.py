"""The machine that numbers are of: its name, its instruction sets, the peak of its products."""

from __future__ import annotations

import functools
import platform
import time

import torch

GIGA = 1e9
SIDE = 2048  # of the matrices whose product is the peak
_INSTRUCTION_SETS = {"AVX2": "avx2", "AVX-512": "avx512_f", "AMX": "amx_tile"}
PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def machine(threads: int, device: str) -> str:
    """What the numbers are of, in a line."""
    place = torch.device(device)
    if place.type == "cuda":
        name = torch.cuda.get_device_name(place)
    else:
        known = torch.cpu.get_capabilities()
        name = known.get("cpu_name") or platform.processor() or platform.machine()
        sets = [word for word, key in _INSTRUCTION_SETS.items() if known.get(key)]
        kernels = torch.backends.cpu.get_cpu_capability()
        name = f"{name}: {', '.join([platform.machine(), *sets])}; kernels for {kernels}"
    words = "bfloat16" if has_bfloat16(place) else "no bfloat16"
    plural = "" if threads == 1 else "s"
    return f"PyTorch {torch.__version__} on {device} ({name}; {words}; {threads} thread{plural})"


def has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is more than emulated."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    known = torch.cpu.get_capabilities()
    return any(bool(has) for name, has in known.items() if name.endswith("bf16"))


@functools.cache
def matrix_gflops(
    device: torch.device, threads: int, precision: str = "float32", repeats: int = 3
) -> float:
    """Billions of operations a second of a large product of matrices, the best of some.

    Args:
        device: where it is computed.
        threads: of the CPU.
        precision: a key of ``PRECISIONS``.
        repeats: number of products.
    """
    torch.set_num_threads(threads)
    a, b = (torch.randn(SIDE, SIDE, device=device).to(PRECISIONS[precision]) for _ in range(2))
    best = float("inf")
    for _ in range(repeats):
        started = time.perf_counter()
        float((a @ b)[0, 0])  # waits for it
        best = min(best, time.perf_counter() - started)
    return 2 * SIDE**3 / best / GIGA
