"""Commands stopped at random moments, or by a full disk; started again, they end as expected."""

import hashlib
import json
import re
import resource
import shutil
import signal
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from attack.judge import Attack, try_attack
from attack.material import Material
from vecsetx.workers.heart_work import RECORDS

COMMANDS = {
    "prepare": "prepare labels --out out --points 500 --workers 1",
    "train": "train {data} --out out --config recipe.yaml training.checkpoint_every=3",
    "reconstruct": "reconstruct labels --model {run} --out out --resolution 24 --refine 2",
    "evaluate": "evaluate {data} --model {run} --out out --refine 2",
    "check": "check {data} --out out --workers 1",
    "vary": "vary data --count 3 --workers 1",
    "export": "export {data} --out out --workers 1",
    "calibrate": "calibrate {two} --model run --split train --few --ensemble 2",
    "measure": "measure labels --out out --workers 1",
    "volume-mesh": "volume-mesh labels --out out --edge-mm 5 --workers 1",
    "compare": "compare scores refined --out out",
}
"""Commands that write, by the material's files."""

_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)
_FULL = "full disk"
_TIMES = re.compile(r"\.(html|log|jsonl|lock|glb)$|^(data|recipe|judged|manifest)\.")
"""Files that hold times or draw pictures; the others are the same in every run."""


def attacks(
    material: Material, folder: Path, count: int, seed: int
) -> Iterator[tuple[str, Attack]]:
    """Yield each command stopped at random, then once more, to its end."""
    rng = np.random.default_rng([seed, 3])
    for name, line in COMMANDS.items():
        expected, took = _undisturbed(line, material, folder)
        for number in range(count):
            how = (*_ENDS, _FULL)[number % 4]
            _clear(folder)
            begun = _attack(f"{name} {number}", line, material, folder)
            share, size = rng.uniform(), int(10 ** rng.uniform(1, 5))
            if how == _FULL:
                yield "full disk", _changed(begun, f"files of at most {size} bytes", size)
            else:
                # Named by the share: the time differs from run to run, and a run has to go on.
                when = f"{how.name} after {share:.1%} of its time"
                yield "stops", _changed(begun, when, None, how, share * took)
            resume = ("--resume",) if (folder / "out" / "checkpoint.pt").exists() else ()
            again = _attack(f"{name} {number} again", line, material, folder, copy=False)
            yield (
                "started again",
                Attack(
                    again.name,
                    (*again.words, *resume),
                    again.out,
                    wrong=partial(_differs, folder / again.out, expected),
                ),
            )


def _undisturbed(line: str, material: Material, folder: Path) -> tuple[dict[str, str], float]:
    _clear(folder)
    attack = _attack("undisturbed", line, material, folder)
    begun = time.monotonic()
    verdict = try_attack(attack, folder)
    took = time.monotonic() - begun
    assert verdict.status == 0, verdict
    return _contents(folder / attack.out), took


def _clear(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.mkdir()


def _attack(name: str, line: str, material: Material, folder: Path, copy: bool = True) -> Attack:
    left = {name: material.folder / name for name in ("run", "data", "two")}
    words = line.format(**left).split()
    for taken in ("labels", "recipe.yaml", "scores", "refined", "run", "data"):
        if copy and taken in words:
            material.copy(taken, folder)
    out = {"calibrate": "run", "vary": "data"}.get(words[0], "out")
    return Attack(name, tuple(words), out)


def _changed(
    attack: Attack,
    what: str,
    size: int | None,
    number: signal.Signals | None = None,
    after: float = 0.0,
) -> Attack:
    def no_room() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return Attack(
        f"{attack.name}: {what}",
        attack.words,
        attack.out,
        before=no_room if size is not None else lambda: None,
        stop=(number, after) if number else None,
    )


def _contents(folder: Path) -> dict[str, str]:
    """Return the hash of every file that is the same in every run."""
    found = {}
    for path in sorted(folder.rglob("*")):
        # Records hold hashes of files with times.
        if path.is_file() and RECORDS not in path.parts and not _TIMES.search(path.name):
            data = path.read_bytes()
            if path.suffix == ".json":
                data = json.dumps(_untimed(json.loads(data))).encode()
            if path.suffix != ".pt":
                found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def _untimed(value: object) -> object:
    if isinstance(value, dict):
        return {k: _untimed(v) for k, v in value.items() if "seconds" not in k and "time" not in k}
    return [_untimed(v) for v in value] if isinstance(value, list) else value


def _differs(folder: Path, expected: dict[str, str], status: int) -> str:
    if status:
        return "could not be started again"
    found = _contents(folder)
    different = [name for name in found.keys() | expected if found.get(name) != expected.get(name)]
    return (
        f"differs from an undisturbed run: {', '.join(sorted(different)[:5])}" if different else ""
    )
