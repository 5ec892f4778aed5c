"""The machine: cores, threads, memory, free disk, and environment variables that change results."""

import os
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from vecsetx.doctor.section import Section, without_user
from vecsetx.machine import cores, machine_bytes, threads

__all__ = ["environment", "machine"]

_LITTLE_MEMORY_GB, _LITTLE_DISK_GB = 2.0, 1.0
"""Less free memory or disk than this is a problem: a heart needs about as much."""

_CGROUP = Path("/sys/fs/cgroup")

_VARIABLES = re.compile(
    r"VECSETX_[A-Z_]+|(?:OMP|MKL|OPENBLAS|NUMEXPR)_NUM_THREADS|OMP_(?:PROC_BIND|PLACES)"
    r"|CUDA_(?:VISIBLE_DEVICES|LAUNCH_BLOCKING|DEVICE_ORDER)|NVIDIA_VISIBLE_DEVICES"
    r"|PYTORCH_(?:CUDA_)?ALLOC_CONF|PYTORCH_ENABLE_MPS_FALLBACK|TORCH_(?:HOME|COMPILE_DISABLE)"
    r"|SLURM_(?:JOB_ID|CPUS_PER_TASK|CPUS_ON_NODE|JOB_NUM_NODES|NTASKS|NNODES|MEM_PER_NODE"
    r"|MEM_PER_CPU|GPUS|GPUS_ON_NODE|JOB_GPUS|JOB_PARTITION)"
    r"|RANK|LOCAL_RANK|WORLD_SIZE|HF_HUB_OFFLINE|HF_HOME|PYTHONPATH|PYTHONHASHSEED|TMPDIR|LC_ALL"
    r"|LANG|DISPLAY"
)
_THREADS = re.compile(r"\s*0*[1-9]\d*\s*(,\s*0*[1-9]\d*\s*)*", re.ASCII)
"""What OpenMP takes for a number of threads; one for each level of nested loops."""

_SECRET = re.compile(r"TOKEN|KEY|SECRET|PASS|AUTH|CRED")


def machine() -> Section:
    """Return cores, memory and disk, within the limits that a cluster or a container sets."""
    facts = {
        "cores": f"{cores()} of {os.cpu_count() or 'an unknown number'}",
        "threads": f"{threads()} per process",
    }
    if quota := _cpu_quota():
        facts["CPU quota"] = f"{quota:g} cores (cgroup)"
    facts["memory"] = f"{machine_bytes() / 1e9:.1f} GB"
    if limit := _memory_limit():
        facts["memory limit"] = f"{limit / 1e9:.1f} GB (cgroup)"
    problems = []
    free_gb = _free_memory() / 1e9
    if free_gb:
        facts["memory free"] = f"{free_gb:.1f} GB"
        if free_gb < _LITTLE_MEMORY_GB:
            problems.append(
                f"{free_gb:.1f} GB of memory are free; end other programs, or ask SLURM for more "
                "(--mem)"
            )
    for name, folder in _folders().items():
        text, problem = _disk(name, folder)
        facts[name] = text
        if problem:
            problems.append(problem)
    return Section("machine", facts, tuple(problems))


def environment(variables: Mapping[str, str] = os.environ) -> Section:
    """Return environment variables that change how VecSetX runs; none that may hold a secret."""
    found = {
        name: without_user(value)[:200]
        for name, value in sorted(variables.items())
        if _VARIABLES.fullmatch(name) and not _SECRET.search(name)
    }
    problems = [
        f"{name} is {found[name]!r}, no number of threads, so it is ignored; set it to a whole "
        "number above 0, or unset it"
        for name in found
        if name.endswith("_NUM_THREADS") and not _THREADS.fullmatch(variables[name])
    ]
    return Section("environment", found, tuple(problems))


def _folders() -> dict[str, Path | None]:
    try:
        temporary = Path(tempfile.gettempdir())
    except OSError:
        temporary = None
    return {"current folder": Path("."), "temporary folder": temporary}


def _disk(name: str, folder: Path | None) -> tuple[str, str]:
    """Return the free space of a folder, and the problem with it; empty if there is none."""
    remedy = "free space, or work in another folder"
    if name == "temporary folder":
        remedy = "free space, or set TMPDIR to another folder"
    if folder is None:
        return "! none", f"no {name} can be written; {remedy}"
    shown = without_user(str(folder.absolute()))
    try:
        free_gb = shutil.disk_usage(folder).free / 1e9
    except OSError as error:
        return f"! {shown}: {error.strerror}", f"{shown}: {error.strerror}; {remedy}"
    text = f"{shown}, {free_gb:.1f} GB free"
    few = f"{shown}: {free_gb:.1f} GB are free; {remedy}"
    return text, few if free_gb < _LITTLE_DISK_GB else ""


def _free_memory() -> int:
    """Return the memory that programs could take now, bytes; 0 if the system does not say."""
    try:
        found = re.search(r"MemAvailable:\s*(\d+) kB", Path("/proc/meminfo").read_text("ascii"))
    except (OSError, UnicodeDecodeError):
        return 0
    free = int(found[1]) * 1024 if found else 0
    # What the control group uses counts files that are only cached, so it says little.
    return min(free, _memory_limit() or free)


def _memory_limit() -> int:
    """Return the memory that the control group allows, bytes; 0 without a limit."""
    limit = _cgroup_number("memory.max") or _cgroup_number("memory/memory.limit_in_bytes")
    return limit if 0 < limit < machine_bytes() else 0


def _cpu_quota() -> float:
    """Return the number of cores whose time the control group allows; 0 without a limit."""
    words = _cgroup_text("cpu.max").split()
    if len(words) == 2 and words[0].isdigit() and words[1].isdigit() and int(words[1]):
        return int(words[0]) / int(words[1])
    return 0.0


def _cgroup_number(name: str) -> int:
    text = _cgroup_text(name)
    return int(text) if text.isdigit() else 0


def _cgroup_text(name: str) -> str:
    """Return what a file of this process's control group says; empty if there is none."""
    try:
        # Version 2 has one group; in a container, it is the root of what is seen.
        own = re.search(r"^0::(/.*)$", Path("/proc/self/cgroup").read_text("utf-8"), re.MULTILINE)
        places = [_CGROUP / own[1].lstrip("/"), _CGROUP] if own else [_CGROUP]
        there = next((place / name for place in places if (place / name).is_file()), None)
        return there.read_text("ascii").strip() if there else ""
    except (OSError, UnicodeDecodeError):
        return ""
