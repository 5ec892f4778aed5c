"""What the machine's CPU can do."""

import platform

import pytest
import torch

from vecsetx.machine import cpu_features


@pytest.mark.skipif(
    not hasattr(torch.cpu, "get_capabilities") or platform.machine() != "x86_64",
    reason="this PyTorch or CPU has other names",
)
@pytest.mark.parametrize("name", ["amx_bf16", "avx2", "fma", "avx512_bf16", "amx_fp16"])
def test_features_are_those_that_pytorch_finds(name: str) -> None:
    of_pytorch = torch.cpu.get_capabilities()
    assert (name in cpu_features()) == of_pytorch[{"fma": "fma3"}.get(name, name)]
