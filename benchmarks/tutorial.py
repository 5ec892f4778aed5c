"""Write docs/tutorial.md: python benchmarks/tutorial.py (or: make tutorial).

Runs every command of ``docs/tutorial_template.md`` in an empty folder, and puts its output below
it.
"""

import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
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


def recorded(template: str, folder: Path) -> Iterator[str]:
    """Run the commands of a template in a folder; yield the lines of the tutorial.

    Raises:
        RuntimeError: A command failed, and the next one does not show its exit status.
    """
    # The code of this folder, wherever the environment points.
    code = {"PYTHONPATH": str(ROOT / "src")}
    look = {"COLUMNS": str(COLUMNS), "TERM": "dumb", "NO_COLOR": "1"}
    environment = os.environ | code | look
    status, is_shown = 0, True
    for line in template.splitlines():
        yield line
        if not line.startswith(PROMPT):
            continue
        command = line.removeprefix(PROMPT)
        print(line, file=sys.stderr)
        if command == STATUS:
            yield str(status)
            is_shown = True
            continue
        if status and not is_shown:
            raise RuntimeError(
                f"before {command}: exit status {status}, which {STATUS} should show"
            )
        words = shlex.split(command)
        if words[0] == "vecsetx":
            words = [sys.executable, "-m", *words]
        done = subprocess.run(
            words,
            cwd=folder,
            env=environment,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        status, is_shown = done.returncode, False
        if text := readable(done.stdout, str(folder)):
            print(text, file=sys.stderr)
            yield text


def main() -> None:
    """Write the tutorial, once all commands have run."""
    with tempfile.TemporaryDirectory() as folder:
        page = "\n".join(recorded(TEMPLATE.read_text(encoding="utf-8"), Path(folder).resolve()))
    TUTORIAL.write_text(page + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
