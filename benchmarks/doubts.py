"""How often true structures of strangers are doubtful, and how often wrong ones are.

    python benchmarks/doubts.py DATA [--folds 4] [--stride 2] [--seed 0]

DATA is a prepared data set whose sources are label maps. Its hearts are divided into folds by seed.
What is usual comes from the hearts of the other folds, so that every heart is a stranger once. Each
whole structure of a heart is then taken for inferred and all others for observed: as it is, and

* shrunk to a tenth of its volume, or grown to twice its volume, about its centroid;
* moved by 26 mm in a random direction, with all, three or one of the other structures shown;
* broken: two gaps of five voxels across its longest axis.

It prints how many of them are doubtful, with an interval that resamples hearts. No model is needed.
"""

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.data.dataset import DataSet, HeartEntry
from vecsetx.data.sources import source_of
from vecsetx.evaluation.bootstrap import Bootstrap
from vecsetx.geometry.connected import number_pieces
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.doubts import doubts
from vecsetx.inference.heart_meshes import HeartMeshes, VertexAttributes
from vecsetx.reconstruction.grid import Grid
from vecsetx.reconstruction.specks import Specks
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.sampling.quality.usual_heart import UsualHeart

MOVED_MM = 26.0
GAP_VOXELS = 5


@dataclass(frozen=True)
class Truth:
    """A stranger's whole structures: surfaces, and the voxels that they come from."""

    surfaces: Mapping[str, Surface]
    voxels: Mapping[str, np.ndarray]
    grid: Grid


def truth_of(dataset: DataSet, entry: HeartEntry, stride: int) -> Truth:
    info = dataset.open(entry).info
    segmentation = source_of(dataset, entry).segmentation(info.structures)
    every = segmentation.sampled_voxels()
    affine = every.affine @ np.diag([stride, stride, stride, 1])
    coarse = LabelMap(every.labels[::stride, ::stride, ::stride].copy(), affine)
    geometry = Geometry.of_label_map(coarse, len(info.structures))
    surfaces, voxels = {}, {}
    for k, (name, (vertices_mm, faces)) in enumerate(
        zip(info.structures, geometry.closed, strict=True), start=1
    ):
        if name not in info.cut and len(faces):
            surfaces[name] = Surface(vertices_mm.astype(np.float32), faces)
            voxels[name] = geometry.label_map.labels == k
    return Truth(surfaces, voxels, Grid.of(coarse))


def scaled(surface: Surface, volume: float) -> Surface:
    centre = surface.centroid_mm
    vertices_mm = centre + volume ** (1 / 3) * (surface.vertices_mm - centre)
    return replace(surface, vertices_mm=vertices_mm.astype(np.float32))


def moved(surface: Surface, generator: np.random.Generator) -> Surface:
    direction = generator.standard_normal(3)
    offset = MOVED_MM * direction / np.linalg.norm(direction)
    return replace(surface, vertices_mm=(surface.vertices_mm + offset).astype(np.float32))


def pieces(voxels: np.ndarray, broken: bool = False) -> int:
    inside = np.argwhere(voxels)
    mask = voxels.copy()
    if broken:
        centred = inside - inside.mean(axis=0)
        along = centred @ np.linalg.svd(np.cov(centred.T))[0][:, 0]
        for third in np.quantile(along, [1 / 3, 2 / 3]):
            mask[tuple(inside[np.abs(along - third) <= GAP_VOXELS / 2].T)] = False
    return number_pieces(mask)[1]


def is_doubtful(
    truth: Truth, name: str, surface: Surface, count: int, shown: list[str], usual: UsualHeart
) -> bool:
    surfaces = {other: truth.surfaces[other] for other in shown} | {name: surface}
    observed = {n: np.full(len(s.vertices_mm), n != name) for n, s in surfaces.items()}
    specks = Specks(truth.grid, dict.fromkeys(surfaces, 1) | {name: count}, {}, {}, {})
    found = doubts(HeartMeshes(surfaces, None, {}, specks), VertexAttributes(observed), usual)
    return bool(found[name])


def trials(
    truth: Truth, usual: UsualHeart, generator: np.random.Generator
) -> Iterator[tuple[str, str, bool]]:
    """Yield kind, structure, and whether it is doubtful."""
    for name, surface in truth.surfaces.items():
        others = [other for other in truth.surfaces if other != name]
        if not others:
            continue
        whole = pieces(truth.voxels[name])
        broken = pieces(truth.voxels[name], broken=True)
        kinds = {
            "true": (surface, whole, len(others)),
            "shrunk to 10%": (scaled(surface, 0.1), whole, len(others)),
            "grown to 200%": (scaled(surface, 2.0), whole, len(others)),
            "moved, all others shown": (moved(surface, generator), whole, len(others)),
            "moved, three shown": (moved(surface, generator), whole, 3),
            "moved, one shown": (moved(surface, generator), whole, 1),
            "broken": (surface, broken, len(others)),
        }
        for kind, (changed, count, most) in kinds.items():
            shown = generator.permutation(others)[:most].tolist()
            yield kind, name, is_doubtful(truth, name, changed, count, shown, usual)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--folds", type=int, default=4)
    parser.add_argument("--stride", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    dataset, generator = DataSet.read(options.data), np.random.default_rng(options.seed)
    folds = np.arange(len(dataset.hearts)) % options.folds
    generator.shuffle(folds)
    # Kind → a row per heart: 1 doubtful, 0 not, NaN where it has no such structure.
    found: dict[str, list[np.ndarray]] = defaultdict(list)
    for fold in range(options.folds):
        cohort = [h for h, f in zip(dataset.hearts, folds, strict=True) if f != fold]
        files, annotated = map(dataset.open, cohort), [heart.annotated for heart in cohort]
        usual = UsualHeart.of(dataset.structures, files, annotated)
        for heart in (h for h, f in zip(dataset.hearts, folds, strict=True) if f == fold):
            rows: dict[str, np.ndarray] = {}
            truth = truth_of(dataset, heart, options.stride)
            for kind, name, doubtful in trials(truth, usual, generator):
                empty = np.full(len(dataset.structures), np.nan)
                rows.setdefault(kind, empty)[dataset.structures.index(name)] = doubtful
            for kind, row in rows.items():
                found[kind].append(row)
    for kind, kept in found.items():
        table = np.array(kept)
        low, high = Bootstrap().interval(table) or (np.nan, np.nan)
        each = ", ".join(
            f"{name} {100 * share:.0f}"
            for name, share in zip(dataset.structures, np.nanmean(table, axis=0), strict=True)
        )
        print(
            f"{kind}: {int(np.nansum(table))} of {np.count_nonzero(~np.isnan(table))} doubtful, "
            f"{100 * np.nanmean(np.nanmean(table, axis=0)):.1f}% "
            f"({100 * low:.1f} to {100 * high:.1f}); {each}"
        )


if __name__ == "__main__":
    main()
