"""What a step computes in: single precision, or half for the matrix products."""

import torch


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """The autocast context of a precision (``auto``, ``fp32``, ``bf16``, ``fp16``) on a device."""
    half = torch.float16 if precision == "fp16" else torch.bfloat16
    enabled = precision in ("bf16", "fp16") or (precision == "auto" and has_bf16(device))
    return torch.autocast(device.type, half, enabled=enabled)


def scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Scales losses, so that gradients do not vanish in float16; does nothing otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def has_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bfloat16 matrices in hardware."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "cpu":
        return bool(torch.cpu.get_capabilities().get("amx_bf16", False))
    return False
