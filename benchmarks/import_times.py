"""Seconds that imports take: PyTorch, VecSetX, every --help, and what train and reconstruct need.

Each is a new process. The processes of a repetition run one after another, so that a change of the
machine's load meets all alike; a table gives medians, and ratios to ``import torch`` of the same
repetition. CPU seconds count the process alone, wall-clock seconds also wait for others.

    python benchmarks/import_times.py [--repetitions 7] [--json FILE]
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vecsetx.cli import app
from vecsetx.files import write_json

# As the command line begins: it, and then the command's own module.
BEGIN = (
    "from vecsetx.__main__ import collect_garbage_rarely as rarely; rarely(); import vecsetx.cli"
)
TORCH = "import torch"
LIMITS = {"train": 1.25, "reconstruct": 1.25}
"""What begins a command → the most times of ``import torch`` that it may take."""

SECONDS = 0.5
"""The most that ``import vecsetx`` and every ``--help`` may take."""


def main() -> None:
    """Measure, print the table, and exit with 1 if a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the seconds into this file")
    given = parser.parse_args()
    found = measured(codes(), given.repetitions)
    rows = summary(found)
    Console().print(table(rows))
    if given.json:
        write_json(given.json, {"repetitions": given.repetitions, "rows": rows})
    sys.exit(any(row["passes"] is False for row in rows.values()))


def codes() -> dict[str, str]:
    """Name → the Python code of a process."""
    helped = {
        f"vecsetx {name} --help".replace("  ", " "): (
            f"import sys; sys.argv = ['vecsetx', *{name.split()}, '--help']\n"
            "from vecsetx.__main__ import main; main()"
        )
        for name in ("", *names())
    }
    commands = {name: f"{BEGIN}, vecsetx.commands.{name}" for name in LIMITS}
    return {"import torch": TORCH, "import vecsetx": "import vecsetx", **commands, **helped}


def names() -> list[str]:
    """Names of all commands and groups."""
    listed = [each.name or each.callback.__name__ for each in app.registered_commands]
    groups = [each.name for each in app.registered_groups]
    return [name.replace("_", "-") for name in [*listed, *groups]]


def measured(code_of: dict[str, str], repetitions: int) -> dict[str, list[tuple[float, float]]]:
    """Return CPU and wall-clock seconds of each code in each repetition, after one to warm up."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in code_of}
    for repetition in range(repetitions + 1):
        for name, code in code_of.items():
            took = seconds_of(code)
            if repetition:  # the first one compiles modules and fills the file system's cache
                found[name].append(took)
    return found


def seconds_of(code: str) -> tuple[float, float]:
    """Run Python code in a new process; return its CPU and wall-clock seconds."""
    # Compiled modules are kept, as in every installation.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-c", code], env=environment, stdout=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"this failed: {code}")
    return used.ru_utime + used.ru_stime, wall


def summary(found: dict[str, list[tuple[float, float]]]) -> dict[str, dict[str, object]]:
    """Return medians, ratios and whether they are within their limits, by name."""
    base = [cpu for cpu, _ in found["import torch"]]
    rows: dict[str, dict[str, object]] = {}
    for name, times in found.items():
        cpu, wall = (statistics.median(column) for column in zip(*times, strict=True))
        ratio = statistics.median(own / torch for (own, _), torch in zip(times, base, strict=True))
        passes = None
        if name in LIMITS:
            passes = ratio <= LIMITS[name]
        elif name != "import torch":
            passes = cpu <= SECONDS
        rows[name] = {"cpu_s": cpu, "wall_s": wall, "of_torch": ratio, "passes": passes}
    return rows


def table(rows: dict[str, dict[str, object]]) -> Table:
    """Lay out the medians."""
    made = Table("", "CPU s", "wall s", "of import torch", "within its limit")
    for name, row in rows.items():
        said = {None: "", True: "yes", False: "NO"}[row["passes"]]
        made.add_row(
            name, f"{row['cpu_s']:.2f}", f"{row['wall_s']:.2f}", f"{row['of_torch']:.2f}", said
        )
    return made


if __name__ == "__main__":
    main()
