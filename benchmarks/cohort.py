"""A cohort through ``reconstruct`` and ``evaluate`` with one worker and with two.

    python benchmarks/cohort.py [--hearts 32] [--size 96] [--spacing 1.4] [--model RUN]
                                [--command reconstruct] [--json FILE]

Each worker has one thread, so that two workers have twice the cores and nothing else. Both runs
start from nothing, in a process of their own, on the same phantoms; their outputs are compared byte
by byte. A third run finds everything done. Without ``--model``, a model is trained on a few
phantoms first (about five minutes). On a machine that does nothing else, 32 hearts take half an
hour; ``--command`` measures one command alone.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from reconstruct import trained_on_phantoms
from rich.console import Console
from rich.table import Table

from vecsetx.workers.heart_work import RECORDS

COMMANDS = ("reconstruct", "evaluate")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "IGL_NUM_THREADS": "1"}


def vecsetx(*words: object) -> tuple[float, float]:
    """Run a command with one thread; return its seconds, and CPU seconds with its workers'."""
    command = [sys.executable, "-m", "vecsetx", *map(str, words)]
    began, before = time.perf_counter(), cpu_seconds()
    done = subprocess.run(command, env=os.environ | ONE_THREAD, capture_output=True, text=True)
    seconds, cpu_s = time.perf_counter() - began, cpu_seconds() - before
    if done.returncode:
        raise SystemExit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return seconds, cpu_s


def cpu_seconds() -> float:
    """Return the CPU seconds of all commands that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def contents(folder: Path) -> dict[str, bytes]:
    """Read every output; of summaries, all but the time that each stage took."""
    found: dict[str, bytes] = {}
    for file in sorted(folder.rglob("*")):
        name = file.relative_to(folder)
        if not file.is_file() or RECORDS in name.parts:
            continue
        found[name.as_posix()] = file.read_bytes()
        if file.name == "summary.json":
            summary = json.loads(file.read_text()) | {"seconds": None}
            found[name.as_posix()] = json.dumps(summary).encode()
    return found


def measured(command: str, model: Path, hearts: Path, folder: Path) -> dict[str, Any]:
    """Run a command with one worker, with two, and again with two."""
    outs = {workers: folder / f"{command}{workers}" for workers in (1, 2)}
    words = (command, hearts, "--model", model)
    took = {
        workers: vecsetx(*words, "--out", out, "--workers", workers)
        for workers, out in outs.items()
    }
    one, two = (contents(out) for out in outs.values())
    again, _ = vecsetx(*words, "--out", outs[2], "--workers", 2)
    differing = sorted(name for name in one.keys() | two.keys() if one.get(name) != two.get(name))
    changed = [name for name, content in contents(outs[2]).items() if two.get(name) != content]
    for out in outs.values():
        shutil.rmtree(out)
    return {
        "one_s": took[1][0],
        "two_s": took[2][0],
        "one_cpu_s": took[1][1],
        "two_cpu_s": took[2][1],
        "again_s": again,
        "ratio": took[1][0] / took[2][0],
        "files": len(one),
        "differing": differing,
        "changed_by_skipping": changed,
    }


def show(results: dict[str, Any], console: Console) -> None:
    count, size, spacing = results["hearts"], results["size"], results["spacing_mm"]
    table = Table(title=f"{count} phantoms, {size}³ at {spacing} mm, one thread per worker")
    columns = (
        "",
        "1 worker, s",
        "2 workers, s",
        "ratio",
        "CPU s",
        "all done, s",
        "files",
        "differ",
    )
    for heading in columns:
        table.add_column(heading, justify="right")
    for command in COMMANDS:
        if command not in results:
            continue
        found = results[command]
        seconds = [f"{found[key]:.1f}" for key in ("one_s", "two_s")]
        differing = len({*found["differing"], *found["changed_by_skipping"]})
        table.add_row(
            command,
            *seconds,
            f"{found['ratio']:.2f}",
            f"{found['one_cpu_s']:.1f}, {found['two_cpu_s']:.1f}",
            f"{found['again_s']:.1f}",
            str(found["files"]),
            str(differing),
        )
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--hearts", type=int, default=32, help="number of phantoms")
    parser.add_argument("--size", type=int, default=96, help="voxels along each side")
    parser.add_argument("--spacing", type=float, default=1.4, help="mm")
    parser.add_argument("--model", type=Path, help="a run's folder (default: train a model)")
    parser.add_argument("--phantoms", type=int, default=6, help="number of phantoms to train on")
    parser.add_argument("--steps", type=int, default=300, help="training steps")
    parser.add_argument("--command", choices=COMMANDS, help="measure this one alone")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/cohort.json"))
    options = parser.parse_args()
    results: dict[str, Any] = {
        "hearts": options.hearts,
        "size": options.size,
        "spacing_mm": options.spacing,
        "cores": len(os.sched_getaffinity(0)),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        hearts = folder / "hearts"
        made = ("--count", options.hearts, "--size", options.size, "--spacing", options.spacing)
        vecsetx("phantom", hearts, *made, "--seed", 1000)
        model = options.model
        if model is None:
            (folder / "model").mkdir()
            model, _ = trained_on_phantoms(folder / "model", options.phantoms, options.steps)
        commands = [options.command] if options.command else COMMANDS
        for command in commands:
            results[command] = measured(command, model, hearts, folder)
    show(results, Console(width=max(100, Console().width)))
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")
    if any(results[command]["differing"] for command in commands):
        raise SystemExit("outputs of one worker and of two differ")


if __name__ == "__main__":
    main()
