"""False alarms and detections of wrong names of structures.

    python benchmarks/plausibility.py [--phantoms 200] [--real ../shared/data] [--json FILE]

Whole hearts, their cuts (by the scan's box and by oblique planes), cuts without some structures,
and stacks of the three structures of ACDC (10 mm slices, whole and partial) keep their right names:
every alarm is a false one. Then hearts get wrong names: each pair of structures exchanged, also
where only the chambers are labelled, or all but the myocardium or the pulmonary artery; all ids
moved by one, with the background as 1 and as 0; the image mirrored; ACDC read as M&Ms; and the
default label set read as VHMesh. The benchmark counts how many are noticed, and for how many the
proposed names are the right ones. A phantom takes about a second, and each case 40 ms.
"""

import argparse
import json
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.contacts import Contacts
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.anatomy.plausibility import STRUCTURES, contradictions, fit
from vecsetx.formats.label_maps import read_label_map

NAMES = dict(enumerate(STRUCTURES, start=1))
ACDC = {name: i for i, name in label_set("acdc").ids.items()}
REAL = (
    ("kcl/train", "default"), ("kcl/val", "default"), ("mmwhs", "mmwhs"),
    ("visible_human", "default"),
)  # fmt: skip
VOXEL_MM = 2.0
PARTS = {
    "chambers": ("Myocardium", "LA", "LV", "RA", "RV"),
    "chambers without myocardium": ("LA", "LV", "RA", "RV"),
    "no myocardium": ("LA", "LV", "RA", "RV", "Aorta", "PA"),
    "no PA": ("Myocardium", "LA", "LV", "RA", "RV", "Aorta"),
    "Myocardium, LV and LA": ("Myocardium", "LV", "LA"),
}
"""Structures that data sets label together, some of whose names are exchanged."""


@dataclass
class Counts:
    """Of one kind of case.

    Attributes:
        cases: How many.
        alarms: How many were contradicted.
        right: For how many the proposed names are the right ones.
        alarmed: The first few alarms, in words.
    """

    cases: int = 0
    alarms: int = 0
    right: int = 0
    alarmed: list[str] = field(default_factory=list)


def real_hearts(folder: Path) -> Iterator[tuple[str, LabelMap]]:
    for sub, labels in REAL:
        for path in sorted((folder / sub).glob("*.nii.gz")):
            stored = read_label_map(path)
            stride = np.maximum((VOXEL_MM / stored.spacing_mm + 1e-6).astype(int), 1)
            every = tuple(slice(None, None, int(s)) for s in stride)
            affine = stored.affine @ np.diag([*stride, 1.0])
            coarse = LabelMap(stored.labels[every], affine)
            yield (
                sub.split("/")[0],
                coarse.to_structures(label_set(labels), STRUCTURES, str(path)),
            )


def phantoms(count: int) -> Iterator[tuple[str, LabelMap]]:
    ids = label_set("default")
    for index in range(count):
        heart = PhantomHeart.random(np.random.default_rng([0, index]))
        made = heart.voxelize(round(128 / VOXEL_MM), VOXEL_MM)
        yield "phantom", made.to_structures(ids, STRUCTURES, "phantom")


def boxed(heart: LabelMap, generator: np.random.Generator) -> LabelMap:
    """Cut by the scan's edge, on some sides."""
    there = np.argwhere(heart.labels)
    low = np.quantile(there, generator.uniform(0, 0.35), axis=0)
    high = np.quantile(there, generator.uniform(0.6, 1), axis=0)
    sides = generator.random((2, 3)) < 0.5
    first = np.where(sides[0], low, 0).astype(int)
    last = np.where(sides[1], high, heart.shape).astype(int)
    affine = heart.affine.copy()
    affine[:3, 3] = heart.to_mm(first)
    box = tuple(slice(a, b + 1) for a, b in zip(first, last, strict=True))
    return LabelMap(heart.labels[box], affine)


def sliced(heart: LabelMap, generator: np.random.Generator) -> LabelMap:
    """Emptied beyond an oblique plane."""
    normal = generator.normal(size=3)
    along_mm = heart.to_mm(np.stack(np.indices(heart.shape), axis=-1)) @ normal
    limit = np.quantile(along_mm[heart.labels > 0], generator.uniform(0.05, 0.7))
    return LabelMap(np.where(along_mm < limit, 0, heart.labels), heart.affine)


def dropped(heart: LabelMap, generator: np.random.Generator) -> LabelMap:
    """Without one to four of its structures."""
    return heart.without(generator.permutation(list(NAMES))[: generator.integers(1, 5)].tolist())


def stacked(heart: LabelMap, generator: np.random.Generator) -> LabelMap:
    """A stack of the structures of ACDC, with its ids: axial, or at right angles to the long axis.

    The slices are 1.8 × 1.8 × 10 mm; half of the stacks are partial, with at least three slices.
    """
    middle = {n: heart.to_mm(np.argwhere(heart.labels == i)).mean(axis=0) for i, n in NAMES.items()}
    axes = np.array([0.0, 0, 1]), middle["LA"] - middle["LV"], generator.normal(size=3)
    across = axes[generator.integers(3)]
    turned, _ = np.linalg.qr(np.stack([across, *generator.normal(size=(2, 3))], axis=1))
    size, affine = np.array([16, 90, 90]), np.eye(4)
    affine[:3, :3] = turned * [10, 1.8, 1.8]
    affine[:3, 3] = middle["LV"] - affine[:3, :3] @ ((size - 1) / 2 + generator.uniform(0, 1))
    points_mm = LabelMap(np.empty(size), affine).to_mm(np.stack(np.indices(size), axis=-1))
    whole = heart.at(points_mm.reshape(-1, 3)).reshape(size)
    labels = np.zeros(size, dtype=np.uint8)
    for name, label_id in ACDC.items():
        labels[whole == 1 + STRUCTURES.index(name)] = label_id
    filled = np.flatnonzero(labels.any(axis=(1, 2)))
    if generator.random() < 0.5 and len(filled) > 4:
        count = generator.integers(3, len(filled))
        first = filled[generator.integers(0, len(filled) - count + 1)]
        labels = labels[first : first + count]
    return LabelMap(labels, affine)


def count_case(
    counts: Counts,
    name: str,
    label_map: LabelMap,
    names: Mapping[int, str],
    truth: Mapping[int, str],
) -> None:
    """Count a case: what it is named, and what would be right."""
    contacts = Contacts.of(label_map)
    found = contradictions(contacts, names)
    counts.cases += 1
    counts.alarms += found is not None
    if found:
        right = {i: n for i, n in truth.items() if i in contacts.ids}
        counts.right += {i: n for i, n in found.best.items() if n in STRUCTURES} == right
        counts.alarmed.append(f"{name}: {'; '.join(found.broken)}")


def exchanged(a: str, b: str) -> dict[int, str]:
    swap = {a: b, b: a}
    return {i: swap.get(name, name) for i, name in NAMES.items()}


def measured(
    hearts: Iterable[tuple[str, LabelMap]], repeats: Mapping[str, int]
) -> dict[str, dict[str, Counts]]:
    """Return kind of case → cohort → counts."""
    generator, table = np.random.default_rng(0), {}
    acdc, mnms = label_set("acdc").ids, label_set("mnms").ids
    five = dict(list(label_set("default").ids.items())[:5])
    moved = {i + 1: name for i, name in NAMES.items()}

    def of(kind: str) -> Counts:
        return table.setdefault(kind, {}).setdefault(cohort, Counts())

    for number, (cohort, heart) in enumerate(hearts):
        name = f"{cohort} {number}"
        count_case(of("whole"), name, heart, NAMES, NAMES)
        for _ in range(repeats[cohort]):
            cut = (boxed, sliced)[generator.integers(2)](heart, generator)
            count_case(of("cut"), name, cut, NAMES, NAMES)
            count_case(of("without some"), name, dropped(heart, generator), NAMES, NAMES)
            count_case(of("cut, without some"), name, dropped(cut, generator), NAMES, NAMES)
            stack = stacked(heart, generator)
            count_case(of("stack"), name, stack, acdc, acdc)
            if len(np.unique(stack.labels)) == 4:
                count_case(of("wrong: stack, LV and RV exchanged"), name, stack, mnms, acdc)
                contacts, chosen = Contacts.of(stack), of("chosen: acdc, not mnms")
                chosen.cases += 1
                chosen.right += fit(contacts, acdc) > fit(contacts, mnms)
        for a, b in combinations(STRUCTURES, 2):
            count_case(of(f"wrong: {a} and {b} exchanged"), name, heart, exchanged(a, b), NAMES)
        for kind, part in PARTS.items():
            some = heart.without([i for i, n in NAMES.items() if n not in part])
            truth = {i: n for i, n in NAMES.items() if n in part}
            count_case(of(kind), name, some, truth, truth)
            for a, b in combinations(part, 2):
                given = {i: n for i, n in exchanged(a, b).items() if i in truth}
                count_case(of(f"wrong: {kind}, two exchanged"), name, some, given, truth)
        walls = LabelMap(np.where(heart.labels == 1, 3, heart.labels), heart.affine)
        truth = {i: n for i, n in NAMES.items() if n != "Myocardium"}
        count_case(of("walls in LV"), name, walls, truth, truth)
        count_case(of("walls in LV, cut"), name, boxed(walls, generator), truth, truth)
        for a, b in combinations(list(truth.values()), 2):
            given = {i: n for i, n in exchanged(a, b).items() if i in truth}
            count_case(of("wrong: walls in LV, two exchanged"), name, walls, given, truth)
        behind = LabelMap(np.where(heart.labels > 0, heart.labels + 1, 0), heart.affine)
        default = label_set("default").ids
        count_case(of("wrong: moved by one, background 0"), name, behind, default, moved)
        shifted = LabelMap(heart.labels + 1, heart.affine)
        count_case(of("wrong: moved by one"), name, shifted, default, moved)
        mirror = LabelMap(heart.labels[::-1], heart.affine)
        count_case(of("wrong: mirrored"), name, mirror, NAMES, NAMES)
        five_only = Contacts.of(heart.without([6, 7]))
        chosen = of("chosen: default, not vhmesh")
        chosen.cases += 1
        chosen.right += fit(five_only, five) > fit(five_only, label_set("vhmesh").ids)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=200)
    parser.add_argument("--real", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    repeats = Counter(kcl=6, mmwhs=40, visible_human=40, phantom=2)
    began = time.process_time()
    table = measured(real_hearts(options.real), repeats) if options.real.is_dir() else {}
    for kind, cohorts in measured(phantoms(options.phantoms), repeats).items():
        table.setdefault(kind, {}).update(cohorts)
    shown = Table(title="alarms / right proposals / cases")
    for title in ("case", *repeats):
        shown.add_column(title)
    for kind, cohorts in table.items():
        cells = (cohorts.get(name, Counts()) for name in repeats)
        shown.add_row(kind, *(f"{c.alarms} / {c.right} / {c.cases}" for c in cells))
    Console().print(shown)
    for kind, cohorts in table.items():
        for counts in cohorts.values() if not kind.startswith(("wrong", "chosen")) else ():
            print(*(f"false alarm, {kind}, {alarm}" for alarm in counts.alarmed), sep="\n", end="")
    print(f"{time.process_time() - began:.0f} s of CPU time")
    if options.json:
        plain = {k: {n: vars(c) for n, c in cohorts.items()} for k, cohorts in table.items()}
        options.json.write_text(json.dumps(plain, indent=2))


if __name__ == "__main__":
    main()
