"""Volumes over the cycle of beating phantoms, whose true volumes are known.

    python benchmarks/frames.py [--seeds 4] [--frames 5] [--slice-mm 8 10] [--refine N]
                                [--by-itself] [--model MODEL] [--json FILE]

Each phantom is seen whole, in voxels of 1.6 mm, and as a short-axis stack of myocardium, LV and RV
in slices of each thickness, averaged over it. ``--by-itself`` reconstructs each frame without the
one before. It prints how far ejection fractions (in points) and volumes of the left ventricle (in
percent) are off, of the reconstruction and, beside it, of the label maps themselves, whose voxels
are counted; and how much the reconstructed volume of the muscle, which is constant, varies.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vecsetx import load
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES, PhantomHeart
from vecsetx.anatomy.phantom.beating import BeatingPhantom, end_systole_of, volumes_ml
from vecsetx.cine.cycle import cycle_of
from vecsetx.cohort.reconstructing_frames import FRAME_REFINE_STEPS
from vecsetx.data.sources import LabelMapSource
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart import Heart, MeshOptions
from vecsetx.measures.measured import Measured
from vecsetx.measures.solid import measure_solid
from vecsetx.model.saved import TrainedModel

SHORT_AXIS = ("Myocardium", "LV", "RV")
PIXEL_MM, BEYOND_MM, PARTS = 1.5, 12.0, 5


def stacks(hearts: Sequence[PhantomHeart], thick_mm: float) -> list[LabelMap]:
    """Short-axis stacks of all frames, on the grid that holds both ventricles in the first."""
    first = hearts[0].voxelize(100, 1.6 * hearts[0].parameters.size)
    points = {
        name: first.to_mm(np.argwhere(first.labels == STRUCTURES.index(name) + 1).astype(float))
        for name in ("LV", "RV", "LA", "Myocardium")
    }
    middle = points["LV"].mean(axis=0)
    along = np.linalg.svd(points["LV"] - middle, full_matrices=False)[2][0]
    along *= np.sign(along @ (points["LA"].mean(axis=0) - middle))
    right = points["RV"].mean(axis=0) - middle
    right -= (right @ along) * along
    right /= np.linalg.norm(right)
    axes = np.stack([right, np.cross(along, right), along])
    shown = np.concatenate([points[name] for name in SHORT_AXIS]) @ axes.T
    low, high = shown.min(axis=0) - BEYOND_MM, shown.max(axis=0) + BEYOND_MM
    spacing = np.array([PIXEL_MM, PIXEL_MM, thick_mm])
    shape = np.ceil((high - low) / spacing).astype(int)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = axes.T * spacing, axes.T @ low
    return [stack(heart, tuple(shape.tolist()), affine) for heart in hearts]


def stack(heart: PhantomHeart, shape: tuple[int, int, int], affine: np.ndarray) -> LabelMap:
    """A stack whose pixels show what most of their slice's thickness shows."""
    votes = np.zeros((len(STRUCTURES) + 1, *shape), dtype=int)
    for part in range(PARTS):
        moved = affine.copy()
        moved[:3, 3] += ((part + 0.5) / PARTS - 0.5) * affine[:3, 2]
        labels = heart.voxelize_on(shape, moved).labels.astype(int)
        labels[~np.isin(labels, [STRUCTURES.index(name) + 1 for name in SHORT_AXIS])] = 0
        np.put_along_axis(
            votes, labels[None], np.take_along_axis(votes, labels[None], axis=0) + 1, axis=0
        )
    return LabelMap(votes.argmax(axis=0).astype(np.uint8), affine)


def reconstructed_ml(
    maps: Sequence[LabelMap], trained: TrainedModel, options: EncodeOptions, by_itself: bool
) -> list[dict[str, float]]:
    """Volumes of LV, RV and myocardium in each frame."""
    before, found = None, []
    for one in maps:
        source = LabelMapSource("heart", Path("heart"), label_set("default"), stored=one)
        heart = Heart.of(source, trained, options, before=None if by_itself else before)
        before = heart.encoded.field.anchors
        meshes = heart.meshes(MeshOptions(resolution_mm=1.5)).surfaces
        found.append(
            {
                name: measure_solid(meshes[name].vertices_mm, meshes[name].faces)["volume_ml"].value
                for name in SHORT_AXIS
            }
        )
    return found


def counted_ml(maps: Sequence[LabelMap]) -> list[dict[str, float]]:
    """The same, of the label maps' voxels."""
    return [
        {
            name: np.count_nonzero(one.labels == STRUCTURES.index(name) + 1)
            * one.voxel_volume_mm3
            / 1000
            for name in SHORT_AXIS
        }
        for one in maps
    ]


def off(found: Sequence[dict[str, float]], true: Sequence[dict[str, float]]) -> dict[str, float]:
    """How far volumes are off."""
    cycles = [
        cycle_of(
            {
                number: {f"{name}_volume_ml": Measured(one[name]) for name in SHORT_AXIS}
                for number, one in enumerate(volumes)
            }
        ).numbers
        for volumes in (found, true)
    ]
    points = {
        f"{name}_ef": cycles[0][f"{name}_ejection_fraction_percent"].value
        - cycles[1][f"{name}_ejection_fraction_percent"].value
        for name in ("LV", "RV")
    }
    lv = [100 * (one["LV"] / other["LV"] - 1) for one, other in zip(found, true, strict=True)]
    muscle = np.array([one["Myocardium"] for one in found])
    return {
        **points,
        "LV_ed_percent": lv[0],
        "LV_es_percent": lv[end_systole_of(len(lv))],
        "LV_mean_percent": float(np.mean(np.abs(lv))),
        "muscle_varies_percent": float(100 * muscle.std() / muscle.mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--frames", type=int, default=5)
    parser.add_argument("--slice-mm", type=float, nargs="*", default=[8.0, 10.0])
    parser.add_argument("--refine", type=int, default=FRAME_REFINE_STEPS)
    parser.add_argument("--by-itself", action="store_true")
    parser.add_argument("--scale", type=float, default=1.25)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    trained = load(given.model) if given.model else load()
    options = EncodeOptions(refine=given.refine)
    rows: list[dict[str, Any]] = []
    for seed in range(given.seeds):
        beating = BeatingPhantom.random(np.random.default_rng([900, seed]), given.scale)
        hearts = beating.cycle(given.frames)
        true = [volumes_ml(heart) for heart in hearts]
        views = {"whole, 1.6 mm": [heart.voxelize(120, 1.6) for heart in hearts]}
        views |= {f"slices of {mm:g} mm": stacks(hearts, mm) for mm in given.slice_mm}
        for view, maps in views.items():
            made = off(reconstructed_ml(maps, trained, options, given.by_itself), true)
            rows.append(
                {"seed": seed, "view": view, "made": made, "counted": off(counted_ml(maps), true)}
            )
            print(seed, view, flush=True)
            for title in ("made", "counted"):
                told = ", ".join(f"{key} {value:.2f}" for key, value in rows[-1][title].items())
                print(f"  {title}: {told}", flush=True)
    for view in dict.fromkeys(row["view"] for row in rows):
        for title in ("made", "counted"):
            own = [row[title] for row in rows if row["view"] == view]
            told = ", ".join(
                f"{key} {np.mean([abs(one[key]) for one in own]):.2f} "
                f"(at most {max(abs(one[key]) for one in own):.2f})"
                for key in own[0]
            )
            print(f"{view}, {title}: {told}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
