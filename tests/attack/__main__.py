"""``make test-attack``: attack the command line, and count what did not hold.

Every attack is a command in a process forked from this one, which has imported everything. The same
seed makes the same attacks. An attack that was judged is not made again when a run goes on.
"""

import argparse
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TextIO

os.environ.setdefault("OMP_NUM_THREADS", "1")

from support import shared

from attack import (
    bombs,
    cohort,
    hostile_names,
    long_runs,
    mad_options,
    mutated_files,
    places,
    said_twice,
    special_files,
    stops,
)
from attack.judge import Attack, try_attack
from attack.material import Material, make_material
from attack.preload import preload
from vecsetx import __version__
from vecsetx.files import write_text

Attacks = Callable[[Material, Path, int, int], Iterator[tuple[str, Attack]]]


@dataclass(frozen=True)
class Family:
    """Attacks of one kind.

    Attributes:
        attacks: Yields them, each with what it counts as.
        counts: How many of each kind a glance, a short run and a long run make.
    """

    attacks: Attacks
    counts: tuple[int, int, int]


FAMILIES = {
    "files": Family(mutated_files.attacks, (1, 8, 300)),
    "long runs": Family(long_runs.attacks, (1, 2, 20)),
    "said twice": Family(said_twice.attacks, (0, 4, 24)),
    "bombs": Family(bombs.attacks, (0, 1, 1)),
    "names": Family(hostile_names.attacks, (1, 4, 100)),
    "options": Family(mad_options.attacks, (0, 1, 100)),
    "special files": Family(special_files.attacks, (0, 1, 2)),
    "places": Family(places.attacks, (0, 1, 1)),
    "stops": Family(stops.attacks, (0, 4, 24)),
    "cohort": Family(cohort.attacks, (0, 40, 200)),
}
LENGTHS = ("glance", "short", "long")
REPORT = Path("docs/robustness.md")
_BEGIN, _END = "<!-- counts of the last long run -->\n", "<!-- end of the counts -->"


def main() -> None:
    """Run the attacks; exit status 1 if one did not hold."""
    options = _options()
    options.folder.mkdir(parents=True, exist_ok=True)
    material = _material(options.folder)
    preload(material)
    counts: dict[str, list[int]] = {}
    begun = time.monotonic()
    with (options.folder / "judged.jsonl").open("a+") as journal:
        journal.seek(0)
        judged = {entry["attack"]: entry["complaints"] for entry in map(json.loads, journal)}
        for name, family in FAMILIES.items():
            count = family.counts[LENGTHS.index(options.length)]
            if count == 0 or (options.family and name not in options.family):
                continue
            for kind, attack, complaints in _tried(
                family, material, options, count, judged, journal
            ):
                of_kind = counts.setdefault(kind, [0, 0])
                of_kind[0] += 1
                of_kind[1] += bool(complaints)
                if complaints:
                    print("\n    ".join([attack, *complaints]), flush=True)
    for kind, (tried, failed) in counts.items():
        print(f"{kind:32s} {tried:6d} attacks {failed:6d} failures")
    print(f"{sum(t for t, _ in counts.values())} attacks in {time.monotonic() - begun:.0f} s")
    if options.length == "long" and not options.family and not options.only:
        _write_report(counts, options.seed)
    sys.exit(any(failed for _, failed in counts.values()))


def _tried(
    family: Family,
    material: Material,
    options: argparse.Namespace,
    count: int,
    judged: dict[str, list[str]],
    journal: TextIO,
) -> Iterator[tuple[str, str, list[str]]]:
    folder: Path = options.folder.resolve() / "moat" / "folder"
    for kind, attack in family.attacks(material, _emptied(folder), count, options.seed):
        # What is started again needs what the stop before it left behind.
        again = kind == "started again"
        if options.only and options.only not in attack.name:
            _emptied(folder)
            continue
        key = f"{options.seed} {attack.name}"
        if key not in judged:
            verdict = try_attack(attack, folder)
            judged[key] = verdict.complaints
            journal.write(json.dumps({"attack": key, "complaints": verdict.complaints}) + "\n")
            journal.flush()
            if options.show:
                print(f"--- {attack.name}: exit status {verdict.status}\n{verdict.output}")
        yield kind, attack.name, judged[key]
        if kind not in {"stops", "full disk"} or again:
            _emptied(folder)


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder.parent, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def _material(folder: Path) -> Material:
    ready, place = folder / "material.ready", folder.resolve() / "material"
    if not ready.exists():
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        shared.root = folder.resolve()
        make_material(place)
        ready.touch()
    return Material(place)


def _write_report(counts: dict[str, list[int]], seed: int) -> None:
    """Put the counts into the page that promises what they show."""
    rows = [f"| {kind} | {tried} | {failed} |" for kind, (tried, failed) in counts.items()]
    total = [sum(column) for column in zip(*counts.values(), strict=True)]
    table = [
        f"Version {__version__}, {date.today()}, seed {seed}:",
        "",
        "| attacks on | made | failures |",
        "|---|---:|---:|",
        *rows,
        f"| all | {total[0]} | {total[1]} |",
        "",
    ]
    before, rest = REPORT.read_text(encoding="utf-8").split(_BEGIN)
    after = rest.split(_END)[1]
    write_text(REPORT, before + _BEGIN + "\n".join(table) + _END + after)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m attack", description=__doc__)
    parser.add_argument("length", choices=LENGTHS, nargs="?", default="short")
    parser.add_argument("--folder", type=Path, default=Path("build/attack"), help="scratch folder")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", action="append", choices=FAMILIES, help="only these")
    parser.add_argument("--only", metavar="TEXT", help="only attacks whose name contains this")
    parser.add_argument("--show", action="store_true", help="print what the commands print")
    return parser.parse_args()


if __name__ == "__main__":
    main()
