"""Surroundings that refuse: no HOME, ASCII, closed pipes, no TMPDIR, folders that are not free."""

import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from attack.judge import Attack
from attack.material import Material

NAME = "Möller–心"
"""Of the heart, so that ASCII cannot show it."""

COMMANDS = {
    "inspect": f"inspect {NAME}.nii --json",
    "labels": "labels default",
    "prepare": f"prepare {NAME}.nii --out out --points 100 --workers 1",
    "check": "check data --out out --workers 1",
    "export": "export data --out out --workers 1",
    "plan": "plan data --config recipe.yaml",
    "reconstruct": f"reconstruct {NAME}.nii --model run --out out --resolution 16 --refine 0",
    "evaluate": f"evaluate {NAME}.nii --model run --out out --refine 0",
    "measure": f"measure {NAME}.nii --out out --workers 1",
    "volume-mesh": f"volume-mesh {NAME}.nii --out out --edge-mm 6 --workers 1",
    "info": "info run",
    "doctor": "doctor --json",
    "train": "train data --out out --config recipe.yaml training.steps=2",
    "compare": "compare scores refined --out out",
}


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield every command in every place; ``count`` and ``seed`` change nothing."""
    for name, line in COMMANDS.items():
        for place, (before, refused) in _PLACES.items():
            if place.startswith("out") and "--out out" not in line:
                continue
            for taken in ("data", "run", "scores", "refined", "recipe.yaml"):
                if taken in line.split():
                    material.copy(taken, folder)
            (folder / f"{NAME}.nii").write_bytes((material.folder / "plain.nii").read_bytes())
            if place == "out has files":
                (folder / "out").mkdir()
                (folder / "out" / "mine.txt").write_text("mine")
            yield (
                "places",
                Attack(
                    f"{name}: {place}",
                    tuple(line.split()),
                    "out",
                    before=partial(before, folder),
                    wrong=partial(_wrong, folder, place),
                    refused=refused,
                ),
            )


def _wrong(folder: Path, place: str, status: int) -> str:
    if place == "out is used":
        _, state = os.waitpid(-1, 0)
        statuses = sorted([status, os.waitstatus_to_exitcode(state)])
        return "" if statuses == [0, 2] else f"two at once ended with {statuses}"
    mine = folder / "out" / "mine.txt"
    if place == "out has files" and mine.read_text() != "mine":
        return "changed a file of the user's"
    return ""


def _ascii(folder: Path) -> None:
    sys.stdout = io.TextIOWrapper(os.fdopen(1, "wb", closefd=False), "ascii", write_through=True)
    sys.stderr = io.TextIOWrapper(os.fdopen(2, "wb", closefd=False), "ascii", write_through=True)
    os.environ["LC_ALL"] = "C"


def _no_home(folder: Path) -> None:
    os.environ.pop("HOME")
    _as_nobody(folder)


def _home_is_read_only(folder: Path) -> None:
    home = folder / "home"
    home.mkdir(exist_ok=True)
    home.chmod(0o500)
    os.environ["HOME"] = str(home)
    _as_nobody(folder)


def _out_is_read_only(folder: Path) -> None:
    out = folder / "out"
    out.mkdir(exist_ok=True)
    out.chmod(0o500)
    _as_nobody(folder)


def _as_nobody(folder: Path) -> None:
    """Give up root's rights, which no file refuses."""
    if os.geteuid() == 0:
        nobody = 65534
        os.chmod(folder, 0o777)
        os.setgid(nobody)
        os.setuid(nobody)


def _closed_pipe(folder: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    os.dup2(writes, 1)


def _full_stdout(folder: Path) -> None:
    os.dup2(os.open("/dev/full", os.O_WRONLY), 1)


def _no_temporary_folder(folder: Path) -> None:
    os.environ["TMPDIR"] = str(folder / "missing")


def _out_is_a_file(folder: Path) -> None:
    (folder / "out").write_text("mine")


def _nothing(folder: Path) -> None:
    pass


def _twice(folder: Path) -> None:
    """Begin the same command in another process, a little earlier."""
    if os.fork() == 0:
        from vecsetx.cli import main

        sys.stdout = sys.stderr = io.StringIO()  # its lines are not judged
        try:
            main()
        except SystemExit as ended:
            os._exit(int(ended.code or 0))
        os._exit(0)
    time.sleep(0.05)


_PLACES: dict[str, tuple[Callable[[Path], None], bool]] = {
    "ASCII": (_ascii, False),
    "no HOME": (_no_home, False),
    "HOME is read-only": (_home_is_read_only, False),
    "closed pipe": (_closed_pipe, False),
    "stdout is full": (_full_stdout, False),
    "no TMPDIR": (_no_temporary_folder, False),
    "out is a file": (_out_is_a_file, True),
    "out is read-only": (_out_is_read_only, True),
    "out has files": (_nothing, False),
    "out is used": (_twice, False),
}
