"""VecSetX, Python, and the packages that VecSetX needs, held against the bounds that it states."""

import platform
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

import vecsetx
from vecsetx._version import __version__
from vecsetx.doctor.section import Section, without_user

__all__ = ["packages", "program"]

_GIT_SECONDS = 10


def program() -> Section:
    """Return VecSetX's version, and where it runs."""
    folder = Path(vecsetx.__file__).parent
    facts = {
        "VecSetX": __version__,
        "commit": _commit(folder),
        "folder": without_user(str(folder)),
        "Python": f"{platform.python_version()} ({platform.python_implementation()})",
        "environment": without_user(sys.prefix),
        "platform": platform.platform(),
    }
    problems = []
    try:
        if (installed := version("vecsetx")) != __version__:
            problems.append(
                f"the code is of version {__version__}, but {installed} is installed; install "
                "VecSetX again, or remove PYTHONPATH"
            )
    except PackageNotFoundError:
        facts["installed"] = "no: it runs from its source folder"
    return Section("program", {k: v for k, v in facts.items() if v}, tuple(problems))


def packages() -> Section:
    """Return the packages that VecSetX needs, with what is missing or too old."""
    try:
        stated = requires("vecsetx") or []
    except PackageNotFoundError:
        problem = "VecSetX is not installed, so its bounds are unknown; install it with pip"
        return Section("packages", {}, (problem,))
    facts, problems = {}, []
    for requirement in sorted(map(Requirement, stated), key=lambda each: each.name.lower()):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        facts[requirement.name], problem = _held_against(requirement)
        if problem:
            problems.append(problem)
    return Section("packages", facts, tuple(problems))


def _held_against(requirement: Requirement) -> tuple[str, str]:
    """Return a package's version, marked if it does not fit, and the problem; empty if it does."""
    remedy = f"pip install '{requirement.name}{requirement.specifier}'"
    try:
        found = version(requirement.name)
    except PackageNotFoundError:
        return "! missing", f"{requirement.name} is missing; type: {remedy}"
    # Pre-releases are what somebody chose to install.
    if requirement.specifier.contains(found, prereleases=True):
        return found, ""
    wanted = f"{found} ! needs {requirement.specifier}"
    return wanted, (
        f"{requirement.name} {found}: VecSetX needs {requirement.specifier}; type: {remedy}"
    )


def _commit(folder: Path) -> str:
    """Return the commit of the checkout that the code runs from; empty without one."""
    checkout = folder.parents[1]
    if not (checkout / ".git").exists():
        return ""
    found = _git(checkout, "rev-parse", "--short=12", "HEAD")
    if not found:
        return "unknown (git cannot be run here)"
    changed = _git(checkout, "status", "--porcelain", "--untracked-files=no")
    return f"{found}, with changes" if changed else found


def _git(checkout: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(checkout), *words],
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
