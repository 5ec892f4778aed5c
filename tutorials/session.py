"""Runs the commands and the Python of one tutorial in a folder, and returns what they print."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent

COLUMNS = 96
"""Width of the recorded terminal."""

STATUS = "echo $?"

_HOME = "~/hearts"
"""Stands for the folder in which the commands ran."""

_PROGRESS = re.compile(r"([a-z][\w ]*): \d+/(\d+)\b.*\((.*)\)")
_WAITING = re.compile(r"[a-z][\w :.,%/-]* \(\d+ (s|min)\)")

_END = "--end of the block, status "

# Executes blocks, each a JSON text in a line, with common variables.
_INTERPRETER = f"""
import json, sys, traceback
variables = {{"__name__": "__main__"}}
for line in sys.stdin:
    status = 0
    try:
        exec(compile(json.loads(line), "<tutorial>", "exec"), variables)
    except BaseException:
        traceback.print_exc()
        status = 1
    print("\\n{_END}" + str(status), flush=True)
"""


class Session:
    """A terminal in a folder, and a Python interpreter beside it.

    Args:
        folder: Where commands and Python run. The examples of the repository lie in it, too.

    Attributes:
        status: Exit status of the last command, if it was not shown.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.status = 0
        self._python: subprocess.Popen[str] | None = None
        if not (folder / "examples").exists():
            (folder / "examples").symlink_to(ROOT / "examples")

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._python is not None:
            with self._python:
                self._python.kill()
        if kind is None and self.status:
            raise RuntimeError(f"exit status {self.status} of the last command")

    def run(self, command: str) -> str:
        """Run a command; return its output.

        Raises:
            RuntimeError: The command before it failed, and this one does not show its exit status.
        """
        if command == STATUS:
            shown, self.status = str(self.status), 0
            return shown
        if self.status:
            raise RuntimeError(f"exit status {self.status} before {command}; show it: {STATUS}")
        words = shlex.split(command)
        if words[0] in ("vecsetx", "python"):
            words = [sys.executable, *(["-m"] if words[0] == "vecsetx" else []), *words]
            words = [word for word in words if word != "python"]
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=environment(),
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        self.status = done.returncode
        return readable(done.stdout, str(self.folder))

    def execute(self, source: str) -> str:
        """Execute a block of Python, with the variables of earlier ones; return its output.

        Raises:
            RuntimeError: The block failed.
        """
        if self.status:
            raise RuntimeError(f"exit status {self.status} before Python; show it: {STATUS}")
        if self._python is None:
            self._python = subprocess.Popen(
                [sys.executable, "-c", _INTERPRETER],
                cwd=self.folder,
                env=environment(),
                text=True,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
            )
        assert self._python.stdin is not None
        assert self._python.stdout is not None
        print(json.dumps(source), file=self._python.stdin, flush=True)
        lines = []
        for line in self._python.stdout:
            if line.startswith(_END):
                break
            lines.append(line)
        output = readable("".join(lines), str(self.folder))
        if line != f"{_END}0\n":
            raise RuntimeError(f"this failed:\n{source}\n{output}")
        return output


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


def environment() -> dict[str, str]:
    # The code of this repository, wherever the environment points.
    code = {"PYTHONPATH": str(ROOT / "src")}
    look = {"COLUMNS": str(COLUMNS), "TERM": "dumb", "NO_COLOR": "1"}
    # Without a screen, VTK would first complain that there is none.
    window = {} if "DISPLAY" in os.environ else {"VTK_DEFAULT_OPENGL_WINDOW": "vtkEGLRenderWindow"}
    return os.environ | code | look | window
