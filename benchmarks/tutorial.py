"""Write docs/tutorial.md: python benchmarks/tutorial.py (or: make tutorial).

Runs every command of ``docs/tutorial_template.md`` in an empty folder, and puts its output below
it.
"""

import argparse
import json
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
TEMPLATE, TUTORIAL = DOCS / "tutorial_template.md", DOCS / "tutorial.md"

COLUMNS = 96
"""Width of the recorded terminal."""

PROMPT, FENCE, STATUS = "$ ", "```", "echo $?"

_HOME = "~/hearts"
"""Stands for the folder in which the commands ran."""

_PROGRESS = re.compile(r"([a-z][\w ]*): \d+/(\d+)\b.*\((.*)\)")
_WAITING = re.compile(r"[a-z][\w :.,%/-]* \(\d+ (s|min)\)")


def without_outputs(page: str) -> str:
    """The page as its template: of each block only the commands."""
    kept, inside = [], False
    for line in page.splitlines():
        if line.startswith(FENCE):
            inside = line != FENCE
        if not inside or line.startswith((FENCE, PROMPT)):
            kept.append(line)
    return "\n".join(kept) + "\n"


def commands(page: str) -> list[str]:
    """All commands of a page, without the prompt."""
    return [line.removeprefix(PROMPT) for line in page.splitlines() if line.startswith(PROMPT)]


def readable(output: str, folder: str) -> str:
    """An output without machine paths, with each progress bar in its last state."""
    lines = [line.rstrip() for line in output.replace(folder, _HOME).splitlines()]
    last = {(m[1], m[2]): i for i, line in enumerate(lines) if (m := _PROGRESS.fullmatch(line))}
    kept = []
    for number, line in enumerate(lines):
        bar = _PROGRESS.fullmatch(line)
        if not (_WAITING.fullmatch(line) or (bar and last[bar[1], bar[2]] != number)):
            kept.append(line)
    return "\n".join(kept).strip("\n")


@dataclass(frozen=True, slots=True)
class Run:
    """A command that was run: itself, its exit status and its readable output."""

    command: str
    status: int
    output: str


def run(command: str, folder: Path) -> Run:
    """Run a command in a folder."""
    # The code of this repository, wherever the environment points.
    code = {"PYTHONPATH": str(ROOT / "src")}
    look = {"COLUMNS": str(COLUMNS), "TERM": "dumb", "NO_COLOR": "1"}
    words = shlex.split(command)
    if words[0] == "vecsetx":
        words = [sys.executable, "-m", *words]
    done = subprocess.run(
        words,
        cwd=folder,
        env=os.environ | code | look,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    return Run(command, done.returncode, readable(done.stdout, str(folder)))


def recorded(template: str, folder: Path, earlier: Sequence[Run] = ()) -> Iterator[str | Run]:
    """Run the commands of a template in a folder; yield each line, and what each command did.

    Args:
        template: The template.
        folder: The folder.
        earlier: Commands that were run there before; they are not run again.

    Raises:
        RuntimeError: A command failed, and the next one does not show its exit status.
    """
    left = list(earlier)
    last = Run("", 0, "")
    for line in template.splitlines():
        yield line
        if not line.startswith(PROMPT):
            continue
        command = line.removeprefix(PROMPT)
        if last.status and command != STATUS:
            raise RuntimeError(f"exit status {last.status} before {command}; show it with {STATUS}")
        if command == STATUS:
            last = Run(command, 0, str(last.status))
        elif left and left[0].command == command:
            last = left.pop(0)
        else:
            left = []
            last = run(command, folder)
        yield last
    if last.status:
        raise RuntimeError(f"{last.command}: exit status {last.status}")


def record(folder: Path) -> str:
    """Return the tutorial, recorded in a folder; a recording that was interrupted goes on there."""
    journal = folder.with_name(f"{folder.name}-recorded.json")
    known = json.loads(journal.read_text(encoding="utf-8")) if journal.exists() else []
    done: list[Run] = []
    lines: list[str] = []
    template = TEMPLATE.read_text(encoding="utf-8")
    for part in recorded(template, folder, [Run(**one) for one in known]):
        if isinstance(part, str):
            lines.append(part)
            continue
        if part.output:
            lines.append(part.output)
        print(f"{PROMPT}{part.command}\n{part.output}", file=sys.stderr)
        if part.command != STATUS:
            done.append(part)
            journal.write_text(json.dumps([asdict(one) for one in done]), encoding="utf-8")
    journal.unlink(missing_ok=True)
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the tutorial, once all commands have run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, help="run here, and go on if interrupted")
    folder = parser.parse_args().folder
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        page = record(folder.resolve())
    else:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary).resolve() / "hearts"
            folder.mkdir()
            page = record(folder)
    TUTORIAL.write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main()
