"""Pipes, devices, folders and links in place of what a command reads; links where it writes."""

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

from attack.judge import Attack, try_attack
from attack.material import Material
from attack.mutated_files import FORMATS, Format
from attack.places import COMMANDS, NAME

_RUN = ("run", "plain.nii")
_RECONSTRUCT = "reconstruct plain.nii --out out --resolution 16 --refine 0 --no-page"
READ = (
    *FORMATS,
    Format("reference heart", _RUN, "run/model/pose.safetensors", (f"{_RECONSTRUCT} --model run",)),
    Format("log", ("run",), "run/train.log", ("train {data} --out run --resume", "info run")),
    Format(
        "recipe of a run",
        ("run",),
        "run/recipe.yaml",
        ("train {data} --out run --resume", "info run"),
    ),
    Format(
        "data of a run", ("run",), "run/data.json", ("train {data} --out run --resume", "info run")
    ),
    Format(
        "splits", ("plain.nii",), "splits.csv", ("prepare plain.nii --split splits.csv --out out",)
    ),
    Format(
        "grid for --like",
        ("plain.nii", "packed.nii.gz"),
        "packed.nii.gz",
        (f"{_RECONSTRUCT} --model {{run}} --like packed.nii.gz",),
    ),
)
"""What is read, and the commands that read it."""


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield attacks; ``count`` > 1 makes all of them, 1 some. The seed changes nothing."""
    yield from _on_what_is_read(material, folder, count)
    if count > 1:
        yield from _on_what_is_written(material, folder)


def _on_what_is_read(material: Material, folder: Path, count: int) -> Iterator[tuple[str, Attack]]:
    for number, form in enumerate(READ):
        kinds = list(_SPECIAL)
        # A short run takes another kind for each format; so each comes about as often.
        for kind in kinds if count > 1 else [kinds[number % len(kinds)]]:
            for command in dict.fromkeys(form.commands):
                for name in form.copied:
                    material.copy(name, folder)
                words = command.format(
                    run=material.folder / "run", data=material.folder / "data"
                ).split()
                target = folder / form.damaged
                _remove(target)
                _SPECIAL[kind](target)
                yield (
                    "special files",
                    Attack(
                        f"{kind} as {form.name}: {words[0]}",
                        tuple(words),
                        "run" if "--out run" in command else "out" if " out" in command else None,
                    ),
                )


def _on_what_is_written(material: Material, folder: Path) -> Iterator[tuple[str, Attack]]:
    """Run each command once; then put a link to elsewhere in the place of each of its results."""
    for name, line in COMMANDS.items():
        if "--out out" not in line:
            continue
        results = [".vecsetx/", "hearts/", "variants/", ".writing.lock", "train.log"]
        results += _results(_copied(material, folder, line), line)
        for result in dict.fromkeys(results):
            _remove(folder)
            folder.mkdir()
            _copied(material, folder, line)
            _link_elsewhere(folder, result)
            yield "links", Attack(f"link at {result}: {name}", tuple(line.split()), "out")


def _copied(material: Material, folder: Path, line: str) -> Path:
    for taken in ("data", "run", "scores", "refined", "recipe.yaml"):
        if taken in line.split():
            material.copy(taken, folder)
    shutil.copy(material.folder / "plain.nii", folder / f"{NAME}.nii")
    return folder


def _results(folder: Path, line: str) -> list[str]:
    """Return what a command writes, relative to its folder; folders end with a slash."""
    verdict = try_attack(Attack(f"sound: {line}", tuple(line.split()), "out"), folder)
    assert verdict.status == 0, verdict.output
    out = folder / "out"
    return [
        path.relative_to(out).as_posix() + "/" * path.is_dir() for path in sorted(out.rglob("*"))
    ]


def _link_elsewhere(folder: Path, result: str) -> None:
    link, mine = folder / "out" / result, folder / "mine"
    mine.mkdir()
    (mine / "file").write_text("mine")
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(mine if result.endswith("/") else mine / "file")


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _socket(path: Path) -> None:
    # By a relative name, since the names of sockets are short.
    before = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    finally:
        os.chdir(before)


_SPECIAL: dict[str, Callable[[Path], object]] = {
    "pipe": os.mkfifo,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "empty device": lambda path: path.symlink_to("/dev/null"),
    "socket": _socket,
    "folder": Path.mkdir,
    "link to nothing": lambda path: path.symlink_to("missing"),
    "link to itself": lambda path: path.symlink_to(path.name),
}
"""What lies there in place of a file, and how it is made."""
