"""What is said of a command that is stopped by hand: what is kept, and what to type to go on."""

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vecsetx.launcher import launched
from vecsetx.manifest.contents import MANIFEST

__all__ = ["ending_at_once", "resuming_text", "stopped_text"]


@dataclass(frozen=True, slots=True)
class _Kept:
    """What a command leaves behind that is stopped.

    Attributes:
        folder: Parameter of the command with the folder that it writes into.
        files: Patterns of the files that tell what is kept.
        noun: What each of these files stands for.
        goes_on: Whether the same command goes on with what is missing; what earlier runs left
            counts, too.
        counts: Whether a file that matches counts.
    """

    folder: str
    files: tuple[str, ...] = ("**/*",)
    noun: str = "file"
    goes_on: bool = False
    counts: Callable[[Path], bool] = Path.is_file


def _is_complete(summary: Path) -> bool:
    """Return whether a reconstruction's ``summary.json`` is that of a complete heart."""
    return '"unfinished": true' not in summary.read_text("utf-8", "replace")


_OF_COMMANDS: Mapping[str, _Kept] = {
    "prepare": _Kept("out", ("hearts/*.safetensors",), "sampled heart", goes_on=True),
    "vary": _Kept("data", ("variants/*.safetensors",), "variant", goes_on=True),
    "calibrate": _Kept(
        "out", ("calibration-unfinished/*", "model/calibration-unfinished/*"), "measured heart",
        goes_on=True,
    ),
    "reconstruct": _Kept(
        "out", ("summary.json", "*/summary.json"), "complete heart", True, counts=_is_complete
    ),
    "export": _Kept("out", ("*.npz",), "exported heart", goes_on=True),
    "phantom": _Kept("out", ("*.nii.gz",), "phantom"),
    "train": _Kept("out", ("checkpoint.pt",), "checkpoint", goes_on=True),
    "evaluate": _Kept("out", (".vecsetx/*.json",), "scored heart", goes_on=True),
    "check": _Kept("out", (".vecsetx/*.json",), "checked heart", goes_on=True),
    "shape fit": _Kept("out", (".vecsetx/*.json",), "encoded heart", goes_on=True),
    "shape sample": _Kept("out", (".vecsetx/*.json",), "heart", goes_on=True),
    "shape modes": _Kept("out", (".vecsetx/*.json",), "heart", goes_on=True),
    "shape interpolate": _Kept("out", (".vecsetx/*.json",), "heart", goes_on=True),
    "shape project": _Kept("out", (".vecsetx/*.json",), "placed heart", goes_on=True),
    "volume-mesh": _Kept("out", ("*.interfaces.vtp",), "mesh", goes_on=True),
    "measure": _Kept("out", (".vecsetx/*.json",), "measured heart", goes_on=True),
    "compare": _Kept("out", ("compar*.*",)),
    "demo": _Kept("out"),
}  # fmt: skip


@contextmanager
def ending_at_once(text: Callable[[], str]) -> Iterator[None]:
    """Let Ctrl-C end the process at once while the block runs, which imports libraries.

    An exception in the midst of an import may be swallowed, or become another one.

    Args:
        text: Returns what to say then.
    """

    def end(*_: object) -> None:
        shows_cursor = "\x1b[?25h\n" if sys.stderr.isatty() else ""  # a spinner has hidden it
        os.write(2, f"{shows_cursor}vecsetx: {text()}\n".encode(errors="replace"))
        os._exit(130)

    before = signal.getsignal(signal.SIGINT)
    if before is not signal.default_int_handler:  # ignored, as in the background of a shell
        yield
        return
    signal.signal(signal.SIGINT, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stopped_text(command: str, params: Mapping[str, Any], began: float) -> str:
    """Return a line on a command that Ctrl-C has stopped.

    Args:
        command: Its name.
        params: Its parameters, by name.
        began: When it began, seconds since the epoch.
    """
    kept = _OF_COMMANDS.get(command)
    if command == "reconstruct" and params.get("frames"):
        kept = _Kept("out", (".vecsetx/*.json",), "frame", goes_on=True)
    folder: Path | None = params.get(kept.folder) if kept else None
    if command == "check" and folder is None:
        folder = params["data"] / "check"
    if command == "calibrate" and folder is None:
        folder = params["model"]
    if kept is None or folder is None or not folder.exists():
        return f"stopped; nothing was written. To start again, type: {_typed()}"
    there = [file for file in _files(folder, kept) if kept.goes_on or _since(file, began)]
    if not there:
        return f"stopped; nothing in {folder} is complete. To start again, type: {_typed()}"
    count = f"1 {kept.noun} is" if len(there) == 1 else f"{len(there)} {kept.noun}s are"
    go_on = "To go on with the rest" if kept.goes_on else "To start again"
    typed = _typed("--resume") if command == "train" else _typed()
    return f"stopped; {count} kept in {folder}. {go_on}, type: {typed}"


def resuming_text() -> str:
    """Return how a training goes on that saved a checkpoint and stopped."""
    launch = launched()
    if launch is not None and launch.count > 1:
        return "to go on, repeat the command with --resume"
    return f"to go on, type: {_typed('--resume')}"


def _files(folder: Path, kept: _Kept) -> Iterator[Path]:
    for pattern in kept.files:
        yield from (
            f
            for f in folder.glob(pattern)
            if not f.name.startswith(".") and f.name != MANIFEST and kept.counts(f)
        )


def _since(file: Path, began: float) -> bool:
    return file.stat().st_mtime >= began - 1  # file systems round times


def _typed(option: str = "") -> str:
    """Return the command as it was typed, with an option that it may lack."""
    words = sys.argv[1:]
    return shlex.join(["vecsetx", *words, *([option] if option and option not in words else [])])
