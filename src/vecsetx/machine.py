"""The machine that a command runs on."""

import os
from pathlib import Path

__all__ = ["cores", "cpu_features", "machine_bytes", "threads"]


def machine_bytes() -> int:
    """Return the machine's memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def cores() -> int:
    """Return the number of cores that this program may use; a SLURM job often gets only some."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def threads() -> int:
    """Return how many threads share work in this process: one per core, one alone in a worker."""
    wanted = os.environ.get("OMP_NUM_THREADS", "")  # PyTorch's and NumPy's, too
    return int(wanted) if wanted.isdigit() and int(wanted) > 0 else cores()


def cpu_features() -> frozenset[str]:
    """Return the instruction sets of this machine's CPU by Linux's names, such as ``amx_bf16``.

    PyTorch knows them, too, but only newer releases say so. Empty where there is no Linux.
    """
    try:
        lines = Path("/proc/cpuinfo").read_text("ascii", "replace").splitlines()
    except OSError:
        return frozenset()
    fields = (line.partition(":") for line in lines)
    return frozenset(
        name
        for key, _, names in fields
        if key.strip() in ("flags", "Features")  # x86, ARM
        for name in names.split()
    )
