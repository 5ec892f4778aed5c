"""What is remarked about whole hearts, where nothing should be, and about hearts cut in a box.

    python benchmarks/scan_findings.py [--phantoms 48] [--real FOLDER] [--json FILE]

Whole hearts, also as stacks of short-axis slices, must not look cut, nor in pieces. The benchmark
reports the alarms, and how near the hearts come to one: the second largest share that a cap has of
its structure's cross-section just inside, and the largest numbers of speck voxels. Then it empties
each whole heart beyond a plane of its grid, and reports how many of these cuts are found.
"""

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES, PhantomHeart
from vecsetx.formats.label_maps import read_label_map
from vecsetx.geometry.flat_cuts import (
    MAX_SPACING_MM,
    MIN_AREA_MM2,
    flat_cuts,
    outermost_caps,
    parts,
)
from vecsetx.geometry.interfaces import remove_specks
from vecsetx.geometry.pieces import gaps, without_stray_pieces

REAL = {"kcl/train": "default", "kcl/val": "default", "mmwhs": "mmwhs", "visible_human": "default"}
ACDC = ("LV", "Myocardium", "RV")
CUT_SHARES = (0.15, 0.3)
"""Shares of a heart's extent that are emptied, from each of its six sides."""


@dataclass
class Findings:
    """Findings about the hearts of a cohort.

    Attributes:
        hearts: Number of hearts.
        caps: Per heart, the second largest cap of its six sides, as a share of the cross-section.
        alarms: Remarks, by kind, with the heart's name.
        specks: Per heart, the number of speck voxels and their share of the heart.
        cuts: Of the cuts made, the second largest cap's share, and whether the cut was found.
        seconds: Per heart, the time that all of this takes.
    """

    hearts: int = 0
    caps: list[float] = field(default_factory=list)
    alarms: dict[str, list[str]] = field(
        default_factory=lambda: {"cuts": [], "strays": [], "gaps": []}
    )
    specks: list[tuple[int, float]] = field(default_factory=list)
    cuts: list[tuple[float, bool]] = field(default_factory=list)
    seconds: list[float] = field(default_factory=list)

    def add(self, name: str, whole: LabelMap, structures: tuple[str, ...], cut: bool) -> None:
        """Look at one whole heart, and at its cuts if ``cut``."""
        self.hearts += 1
        start = time.perf_counter()
        found = flat_cuts(whole, structures)
        near = without_stray_pieces(whole, structures)
        clean = remove_specks(near)
        apart = gaps(clean, structures)
        self.seconds.append(time.perf_counter() - start)
        self.caps.append(second_cap(whole, structures))
        self.alarms["cuts"] += [f"{name}: {', '.join(one.structures)}" for one in found]
        self.alarms["strays"] += [f"{name}: {r}" for r in near.remarks if r not in whole.remarks]
        self.alarms["gaps"] += [f"{name}: {one}" for one in apart]
        voxels = int(np.count_nonzero(clean.labels != near.labels))
        self.specks.append((voxels, voxels / np.count_nonzero(whole.labels)))
        if cut:
            self.cuts += [made for made in cuts_of(whole, structures) if made is not None]

    def row(self) -> dict[str, object]:
        """Return the figures of the table."""
        missed = [share for share, found in self.cuts if not found]
        return {
            "hearts": self.hearts,
            "second cap": max(self.caps),
            **{kind: len(names) for kind, names in self.alarms.items()},
            "speck voxels": max(voxels for voxels, _ in self.specks),
            "speck share": max(share for _, share in self.specks),
            "cuts made": len(self.cuts),
            "cuts found": len(self.cuts) - len(missed),
            "smallest second cap": min((share for share, _ in self.cuts), default=None),
            "seconds": float(np.mean(self.seconds)),
        }


def second_cap(label_map: LabelMap, structures: tuple[str, ...], sides: int | None = None) -> float:
    """Second largest cap, among parts of the heart with a cap of enough area, over all sides."""
    largest = 0.0
    for caps in outermost_caps(label_map, len(structures)):
        if sides is not None and sides != 2 * caps.axis + (caps.outward > 0):
            continue
        of_parts: dict[frozenset[str], float] = {}
        for name, share, area in zip(structures, caps.shares, caps.areas_mm2, strict=True):
            for part in parts([name]) if area >= MIN_AREA_MM2 else ():
                of_parts[part] = max(of_parts.get(part, 0.0), float(share))
        largest = max(largest, sorted([0.0, 0.0, *of_parts.values()])[-2])
    return largest


def cuts_of(whole: LabelMap, structures: tuple[str, ...]) -> Iterator[tuple[float, bool] | None]:
    """Empty a heart from each side; None where this cuts fewer than two parts of it."""
    box = whole.bounding_box()
    for axis in range(3):
        for outward in (-1, 1):
            for share in CUT_SHARES:
                labels = whole.labels.copy()
                slices = np.moveaxis(labels, axis, 0)
                removed = round(share * (box[axis].stop - box[axis].start))
                if outward < 0:
                    slices[: box[axis].start + removed] = 0
                    through = slices[box[axis].start + removed]
                else:
                    slices[box[axis].stop - removed :] = 0
                    through = slices[box[axis].stop - removed - 1]
                voxel_mm2 = whole.voxel_volume_mm3 / whole.spacing_mm[axis]
                areas = np.bincount(through.ravel(), minlength=len(structures) + 1)[1:] * voxel_mm2
                names = [n for n, a in zip(structures, areas, strict=True) if a >= MIN_AREA_MM2]
                if len(parts(names)) < 2:
                    yield None
                    continue
                made = LabelMap(labels, whole.affine)
                found = [(c.axis, c.outward) for c in flat_cuts(made, structures)]
                side = 2 * axis + (outward > 0)
                yield second_cap(made, structures, side), (axis, outward) in found


def short_axis(
    whole: LabelMap, structures: tuple[str, ...], spacing_mm: tuple[float, ...]
) -> LabelMap:
    """Resample a heart on a grid whose last axis is the left ventricle's long axis."""
    middles_mm = [
        whole.to_mm(np.argwhere(whole.labels == structures.index(name) + 1).mean(axis=0))
        for name in ("LV", "LA", "RV")
    ]
    long = (middles_mm[1] - middles_mm[0]) / np.linalg.norm(middles_mm[1] - middles_mm[0])
    across = middles_mm[2] - middles_mm[0]
    across -= (across @ long) * long
    across /= np.linalg.norm(across)
    axes = np.stack([across, np.cross(long, across), long], axis=1)
    inside = whole.to_mm(np.argwhere(whole.labels).astype(float)) @ axes
    low, high = inside.min(axis=0) - 12, inside.max(axis=0) + 12
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes * spacing_mm, axes @ low
    shape = tuple(np.ceil((high - low) / spacing_mm).astype(int).tolist())
    indices = np.moveaxis(np.indices(shape), 0, -1).reshape(-1, 3).astype(float)
    grid = LabelMap(np.zeros(shape, np.uint8), affine)
    return LabelMap(whole.at(grid.to_mm(indices)).reshape(shape), affine)


def in_slices(whole: LabelMap, thickness_mm: float) -> LabelMap:
    """Take every few slices along the last axis, at most ``thickness_mm`` apart."""
    step = int((thickness_mm + 1e-3) / whole.spacing_mm[2])
    return LabelMap(whole.labels[:, :, ::step], whole.affine @ np.diag([1, 1, step, 1]))


def only(label_map: LabelMap, structures: tuple[str, ...], kept: tuple[str, ...]) -> LabelMap:
    """Return the map with only some structures."""
    return label_map.without([k for k, name in enumerate(structures, 1) if name not in kept])


def cohorts(options: argparse.Namespace) -> Iterator[tuple[str, str, LabelMap, tuple[str, ...]]]:
    """Yield cohort, name, label map and structures of every heart."""
    for index in range(options.phantoms):
        heart = PhantomHeart.random(np.random.default_rng([7, index]))
        yield "phantoms, 1.2 mm", str(index), heart.voxelize(112, 1.2), STRUCTURES
        yield "phantoms, 2.4 mm", str(index), heart.voxelize(56, 2.4), STRUCTURES
    for folder, ids in REAL.items() if options.real else ():
        known = label_set(ids)
        for path in sorted((options.real / folder).glob("*.nii.gz")):
            own = read_label_map(path).to_structures(known, known.structures, str(path))
            yield folder.split("/")[0], path.stem, own, known.structures


def main() -> None:
    """Print a table and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=48)
    parser.add_argument("--real", type=Path, help="folder with kcl, mmwhs and visible_human")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/scan_findings.json"))
    options = parser.parse_args()
    found: dict[str, Findings] = {}
    for cohort, name, whole, structures in cohorts(options):
        found.setdefault(cohort, Findings()).add(name, whole, structures, cut=False)
        if cohort == "phantoms, 2.4 mm":
            continue
        thick = in_slices(whole, MAX_SPACING_MM)
        found.setdefault(f"{cohort}, slices of 3 mm", Findings()).add(
            name, thick, structures, False
        )
        coarse = whole.downsampled(max(round(1.5 / float(whole.spacing_mm.max())), 1))
        found.setdefault(f"{cohort}, cut", Findings()).add(name, coarse, structures, cut=True)
        for kind, spacing_mm, kept in (
            ("stack of 10 mm, ventricles", (1.4, 1.4, 10.0), ACDC),
            ("long axis, 1.5 mm", (1.5, 1.5, 1.5), structures),
            ("long axis, 1.5 mm, ventricles", (1.5, 1.5, 1.5), ACDC),
        ):
            turned = only(short_axis(coarse, structures, spacing_mm), structures, kept)
            label = f"{cohort}: {kind}"
            found.setdefault(label, Findings()).add(name, turned, structures, cut=False)
    table = Table()
    rows = {cohort: findings.row() for cohort, findings in found.items()}
    for heading in ("", *next(iter(rows.values()))):
        table.add_column(heading, justify="right")
    for cohort, row in rows.items():
        cells = (f"{v:.3f}" if isinstance(v, float) else str(v or "–") for v in row.values())
        table.add_row(cohort, *cells)
    Console(width=max(Console().width, 160)).print(table)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    alarms = {cohort: findings.alarms for cohort, findings in found.items()}
    options.json.write_text(json.dumps({"figures": rows, "alarms": alarms}, indent=2) + "\n")


if __name__ == "__main__":
    main()
