"""The machine that a command runs on."""

import os

__all__ = ["cores", "machine_bytes", "threads"]


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
