"""From a wheel to the first mesh: an empty environment, no network after the installation.

    python benchmarks/first_mesh.py dist/vecsetx-0.1.0-py3-none-any.whl [--heart FILE] [--json FILE]

It makes an environment in an empty folder, installs the wheel there with pip, makes a phantom and
reconstructs it with the built-in model, as on the first page; with ``--heart``, it reconstructs
that label map, too. After the installation, commands run without a network where the system can cut
them off (``unshare``), and without the checkout in every case.

It prints a table and writes JSON: seconds, seconds of CPU time, and the peak memory of the largest
process of each step. It needs only Python. The exit status is 1 if a command fails, or with
``--hold`` if a bound is missed: 150 s to the first mesh, 90 s and 2 GB for a reconstruction.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

MOST_S, MOST_RECONSTRUCTION_S, MOST_GB = 150.0, 90.0, 2.0
"""Bounds: from the installation to the first mesh; a reconstruction; its peak memory."""

OFFLINE = ["unshare", "--map-root-user", "--net"]
"""Runs a command in a network of its own, which reaches nothing."""


def can_cut_network() -> bool:
    try:
        return subprocess.run([*OFFLINE, "true"], capture_output=True).returncode == 0
    except OSError:
        return False


def measured(command: list[str], folder: Path) -> dict[str, Any]:
    """Run a command in a folder; return its time and the peak memory of its largest process.

    Raises:
        SystemExit: It fails.
    """
    own = ("PYTHONPATH", "VIRTUAL_ENV", "PYTHONHOME")  # an empty environment has none of these
    environment = {name: value for name, value in os.environ.items() if name not in own}
    began = time.monotonic()
    process = subprocess.Popen(command, cwd=folder, env=environment)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"failed with status {process.returncode}: {' '.join(command)}")
    unit = 1 if sys.platform == "darwin" else 1024
    return {
        "seconds": round(time.monotonic() - began, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_gb": round(usage.ru_maxrss * unit / 1e9, 2),
    }


def steps_of(
    wheel: Path, heart: Path | None, constraints: Path | None, folder: Path
) -> dict[str, dict[str, Any]]:
    """Install and reconstruct in an empty folder; return the measurements of each step."""
    began = time.monotonic()
    venv.create(folder / "env", with_pip=True)
    made = {"seconds": round(time.monotonic() - began, 1), "cpu_seconds": None, "peak_gb": None}
    python, vecsetx = (str(folder / "env" / "bin" / name) for name in ("python", "vecsetx"))
    install = [python, "-m", "pip", "install", "--quiet", str(wheel)]
    if constraints:
        install += ["-c", str(constraints)]
    found = {"environment": made, "installation": measured(install, folder)}
    cut = OFFLINE if can_cut_network() else []
    phantom = [*cut, vecsetx, "phantom", "labels", "--count", "1"]
    found["phantom"] = measured(phantom, folder)
    (label_map,) = (folder / "labels").glob("*.nii.gz")
    hearts = {"reconstruction": label_map} | ({f"of {heart.name}": heart} if heart else {})
    for name, file in hearts.items():
        out = folder / name.replace(" ", "-")
        command = [*cut, vecsetx, "reconstruct", str(file), "--out", str(out)]
        found[name] = measured(command, folder)
        if not list(out.glob("*.vtp")):
            sys.exit(f"{file}: no mesh in {out}")
    return found


def missed(steps: dict[str, dict[str, Any]]) -> list[str]:
    """Return the bounds that are missed."""
    until = list(steps)[: list(steps).index("reconstruction") + 1]
    total = sum(steps[name]["seconds"] for name in until)
    found = [f"{total:.0f} s to the first mesh, over {MOST_S:g} s"] if total > MOST_S else []
    for name in list(steps)[len(until) - 1 :]:
        if steps[name]["seconds"] > MOST_RECONSTRUCTION_S:
            found.append(f"{name}: {steps[name]['seconds']} s, over {MOST_RECONSTRUCTION_S:g} s")
        if steps[name]["peak_gb"] > MOST_GB:
            found.append(f"{name}: {steps[name]['peak_gb']} GB, over {MOST_GB:g} GB")
    return found


def show(results: dict[str, Any]) -> None:
    print(f"{'step':<28}{'s':>8}{'CPU s':>8}{'GB':>8}")
    for name, step in results["steps"].items():
        cells = (step["seconds"], step["cpu_seconds"], step["peak_gb"])
        print(f"{name:<28}" + "".join(f"{'' if cell is None else cell:>8}" for cell in cells))
    print(f"{'wheel':<28}{results['wheel_mb']:>8} MB")
    print("bounds: " + ("; ".join(results["missed"]) or "all kept"))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("wheel", type=Path)
    parser.add_argument("--heart", type=Path, help="a label map to reconstruct, too")
    parser.add_argument("--constraints", type=Path, help="versions, as of constraints.txt")
    parser.add_argument("--hold", action="store_true", help="fail if a bound is missed")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/first_mesh.json"))
    options = parser.parse_args()
    given = (options.wheel, options.heart, options.constraints)
    wheel, heart, constraints = (path and path.resolve() for path in given)
    with tempfile.TemporaryDirectory() as folder:
        steps = steps_of(wheel, heart, constraints, Path(folder))
        results = {
            "wheel": wheel.name,
            "wheel_mb": round(wheel.stat().st_size / 1e6, 1),
            "python": platform.python_version(),
            "cores": os.cpu_count(),
            "load": os.getloadavg()[0],
            "offline": can_cut_network(),
            "steps": steps,
            "missed": missed(steps),
        }
        # Before the environment is removed, which takes its time on a busy disk.
        show(results)
        options.json.parent.mkdir(parents=True, exist_ok=True)
        options.json.write_text(json.dumps(results, indent=2) + "\n")
    if options.hold and results["missed"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
