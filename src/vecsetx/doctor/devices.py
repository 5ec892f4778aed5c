"""What PyTorch computes on: the CPU, NVIDIA's and AMD's GPUs (CUDA), Apple's (MPS)."""

from importlib import import_module
from typing import Any

from vecsetx.doctor.section import Section, without_user

__all__ = ["devices"]


def devices() -> Section:
    """Return the devices that PyTorch sees."""
    try:
        torch: Any = import_module("torch")
        return Section("devices", _facts(torch))
    # A driver that does not fit, or a library that is missing, raises whatever it likes.
    except Exception as error:
        what = without_user(f"{type(error).__name__}: {error}".splitlines()[0])
        remedy = "install PyTorch again, as https://pytorch.org says for this machine"
        return Section("devices", {}, (f"PyTorch does not work ({what}); {remedy}",))


def _facts(torch: Any) -> dict[str, str]:
    capable = getattr(torch.backends.cpu, "get_cpu_capability", lambda: "unknown")()
    threads = torch.get_num_threads()
    facts = {"cpu": f"{capable}, {threads} {'thread' if threads == 1 else 'threads'} of PyTorch"}
    built = torch.version.cuda or torch.version.hip
    facts["CUDA"] = built or "none: a build of PyTorch without CUDA"
    if torch.cuda.is_available():
        for index in range(torch.cuda.device_count()):
            found = torch.cuda.get_device_properties(index)
            has = "with" if torch.cuda.is_bf16_supported() else "without"
            memory_gb = found.total_memory / 1e9
            facts[f"cuda:{index}"] = (
                f"{found.name}, {memory_gb:.0f} GB, compute capability {found.major}."
                f"{found.minor}, {has} bf16"
            )
    elif built:
        facts["CUDA"] += ", but no GPU is seen"
    facts["MPS"] = "yes" if torch.backends.mps.is_available() else "none"
    return facts
