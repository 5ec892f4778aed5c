"""The longest wait without output in each command: python benchmarks/silence.py [--on terminal].

Runs the README's commands on a small cohort of phantoms, as a user would type them, and notes when
each prints or redraws something. On a busy machine, read the CPU seconds rather than the waits.
"""

import argparse
import fcntl
import json
import os
import pty
import re
import select
import shutil
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

LIMIT_S = 5.0
"""The longest wait that people accept without a sign of life."""

COMMANDS = {
    "phantom": "phantom labels --count 8 --size 160 --spacing 0.8",
    "phantom 0.6 mm": "phantom fine --count 1 --size 224 --spacing 0.6 --seed 1",
    "inspect": "inspect labels",
    "labels": "labels default",
    "prepare": "prepare labels --out data --labels default",
    "prepare 0.6 mm": "prepare fine --out fine-data --labels default",
    "check": "check data",
    "check --heart": "check data --heart phantom000",
    "plan": "plan data --preset tiny",
    "train": "train data --out run --preset tiny training.steps=60 training.validate_every=30",
    "train --preflight": "train data --out other --preset tiny --preflight",
    "info": "info run",
    "diagnose": "diagnose run",
    "evaluate": "evaluate data --model run --out scores",
    "evaluate --no-meshes": "evaluate data --model run --out others --no-meshes",
    "evaluate --hide-each": "evaluate data --model run --out each --hide-each",
    "compare": "compare scores others --out comparison",
    "reconstruct": "reconstruct labels/phantom000.nii.gz --model run --out patient",
    "reconstruct 0.6 mm": "reconstruct fine/phantom000.nii.gz --model run --out fine-patient "
    "--resolution-mm 0.6 --refine 20",
    "reconstruct --ensemble": "reconstruct labels/phantom001.nii.gz --model run --out partial "
    "--hide LA --keep-observed --ensemble 4",
    "calibrate": "calibrate data --model run --few --ensemble 2",
    "export": "export data --out npz",
    "demo": "demo --out demo",
}
"""Name → what is typed after ``vecsetx``, in this order: later commands use earlier ones' files."""

_COLOURS = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@dataclass
class Waits:
    """When a command printed.

    Attributes:
        first_s: Seconds from its start to the first output.
        longest_s: The longest time without output, s.
        longest_cpu_s: CPU seconds of all its processes in that time.
        before: What was printed last before it.
        total_s: Duration of the command, s.
        status: Its exit status.
    """

    first_s: float = 0.0
    longest_s: float = 0.0
    longest_cpu_s: float = 0.0
    before: str = ""
    total_s: float = 0.0
    status: int | None = None


def cpu_seconds(root: int) -> float:
    """CPU seconds of a process and all below it, those that have ended included."""
    parents, used = {}, {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
        except OSError:  # it has just ended
            continue
        parents[int(entry.name)] = int(fields[1])
        used[int(entry.name)] = sum(map(int, fields[11:15]))
    tree = {root}
    while more := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= more
    return sum(used.get(pid, 0) for pid in tree) / os.sysconf("SC_CLK_TCK")


def output(command: list[str], folder: Path, on_terminal: bool) -> Iterator[tuple[str, int]]:
    """Run a command; yield what it prints as soon as it does, with its process id.

    Yields an empty text every tenth of a second, and returns when the output ends.
    """
    code = str(Path(__file__).resolve().parent.parent / "src")
    environment = os.environ | {"PYTHONPATH": code}
    if on_terminal:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        environment["TERM"] = "xterm-256color"
    else:
        ours, theirs = os.pipe()
    with subprocess.Popen(
        command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        while True:
            ready, _, _ = select.select([ours], [], [], 0.1)
            try:
                text = os.read(ours, 65536) if ready else b""
            except OSError:  # the other end of the pseudo-terminal is closed
                break
            if ready and not text:
                break
            yield text.decode(errors="replace"), process.pid
        os.close(ours)
        if process.wait():
            raise subprocess.CalledProcessError(process.returncode, command)


def waits(command: list[str], folder: Path, on_terminal: bool, log: Path) -> Waits:
    """Run a command, and find its waits; its output goes to ``log``, too."""
    found = Waits()
    began = last = time.monotonic()
    last_cpu, last_text = 0.0, ""
    with log.open("w", encoding="utf-8") as file:
        try:
            for text, pid in output(command, folder, on_terminal):
                now, cpu = time.monotonic(), cpu_seconds(pid)
                if now - last > found.longest_s:
                    found.longest_s, found.longest_cpu_s = now - last, cpu - last_cpu
                    found.before = last_text
                if text:
                    found.first_s = found.first_s or now - began
                    file.write(f"\n--- {now - began:.1f} s, CPU {cpu:.1f} s\n{text}")
                    lines = _COLOURS.sub("", text).replace("\r", "\n").split("\n")
                    last_text = next((s for s in reversed(lines) if s.strip()), last_text).strip()
                    last, last_cpu = now, cpu
            found.status = 0
        except subprocess.CalledProcessError as error:
            found.status = error.returncode
    found.total_s = time.monotonic() - began
    return found


def main() -> None:
    """Print a row per command, and write all figures into ``silence-….json``."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="folder for all files; its contents are replaced")
    parser.add_argument("--on", choices=("pipe", "terminal"), default="pipe")
    parser.add_argument("--only", help="names of commands, separated by commas; keeps the folder")
    options = parser.parse_args()
    names = options.only.split(",") if options.only else list(COMMANDS)
    if not options.only:
        shutil.rmtree(options.folder, ignore_errors=True)
    options.folder.mkdir(parents=True, exist_ok=True)
    table: dict[str, Waits] = {}
    print(f"{'command':24} {'first s':>8} {'longest s':>10} {'CPU s':>6} {'total s':>8}  before it")
    for name in names:
        command = [sys.executable, "-m", "vecsetx", *COMMANDS[name].split()]
        log = options.folder / f"{options.on}-{name.replace(' ', '')}.log"
        found = table[name] = waits(command, options.folder, options.on == "terminal", log)
        mark = "" if found.longest_s <= LIMIT_S else " <<"
        failed = f" (status {found.status})" if found.status else ""
        print(
            f"{name:24} {found.first_s:8.1f} {found.longest_s:10.1f} {found.longest_cpu_s:6.1f} "
            f"{found.total_s:8.1f}{mark}{failed}  {found.before[-70:]}",
            flush=True,
        )
    path = options.folder / f"silence-{options.on}.json"
    written = json.loads(path.read_text()) if path.exists() else {}
    written |= {name: asdict(found) for name, found in table.items()}
    path.write_text(json.dumps(written, indent=2))


if __name__ == "__main__":
    main()
