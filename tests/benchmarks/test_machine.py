"""What the machine can do, as it says itself and as it is made to say here."""

from __future__ import annotations

import pytest
import torch

from benchmarks import machine
from benchmarks.configs import computable, in_precisions

CPU = torch.device("cpu")


def capabilities(monkeypatch, **known) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: known)


def test_a_line_says_what_the_numbers_are_of(monkeypatch):
    capabilities(monkeypatch, cpu_name="Some CPU", avx2=True, avx512_f=True, avx512_bf16=True)
    line = machine.machine(2, "cpu")
    assert line.startswith(f"PyTorch {torch.__version__} on cpu (Some CPU: ")
    assert "AVX2, AVX-512; kernels for " in line
    assert line.endswith("; bfloat16; 2 threads)")


@pytest.mark.parametrize(
    ("known", "has"),
    [
        ({"avx2": True, "avx512_bf16": False}, False),
        ({"avx512_bf16": True}, True),
        ({"avx512_bf16": False, "amx_bf16": True}, True),
        ({}, False),
    ],
)
def test_bfloat16_that_is_more_than_emulated(known, has, monkeypatch):
    capabilities(monkeypatch, **known)
    assert machine.has_bfloat16(CPU) == has
    words = "; bfloat16; 1 thread)" if has else "; no bfloat16; 1 thread)"
    assert machine.machine(1, "cpu").endswith(words)


@pytest.mark.parametrize("has", [True, False])
def test_without_bfloat16_a_line_says_that_it_is_left_out(has, monkeypatch, capsys):
    capabilities(monkeypatch, avx512_bf16=has)
    files, opts = ["rsis_synthetic.yaml", "ris_synthetic.yaml"], ["MODEL.DEVICE", "cpu"]
    found = computable(in_precisions(files, opts, ["float32", "bfloat16"]))
    names = [(name, cfg.MODEL.PRECISION) for name, cfg in found]
    expected = [("rsis_synthetic", "float32"), ("ris_synthetic", "float32")]
    if has:
        expected = [(n, p) for n, _ in expected for p in ("float32", "bfloat16")]
    assert names == expected
    left_out = "rsis_synthetic: cpu has no bfloat16 here, which is left out."
    assert (left_out in capsys.readouterr().out) != has


def test_without_a_wish_each_config_has_its_own_precision():
    opts = ["MODEL.PRECISION", "float16", "MODEL.DEVICE", "cpu"]
    ((name, cfg),) = in_precisions(["rsis_synthetic.yaml"], opts, None)
    assert (name, cfg.MODEL.PRECISION) == ("rsis_synthetic", "float16")


@pytest.mark.parametrize("precision", machine.PRECISIONS)
def test_the_peak_is_measured_in_each_precision(precision, monkeypatch):
    monkeypatch.setattr(machine, "SIDE", 64)
    machine.matrix_gflops.cache_clear()
    assert machine.matrix_gflops(CPU, 1, precision) > 0
    machine.matrix_gflops.cache_clear()  # of small matrices, for nobody else
