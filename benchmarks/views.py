"""Hearts put together from views: how well shifts are recovered, and what they are worth.

    python benchmarks/views.py LABELS... [--labels general/kcl.yaml] [--shift-mm 6] [--seeds 1]
                               [--model MODEL] [--json FILE]

Each label map is sliced as cine MRI shows a heart (``sliced_hearts.py``): ten short-axis slices, a
2CH and a 4CH, each moved within its plane by up to ``--shift-mm``. It is then reconstructed

* from all views as they lie,
* from the short-axis stack alone, with shifts,
* from all views, with shifts;

and the stack's labels are interpolated linearly between its slices. It prints how far the shifts
are off, but for a translation of all slices, and the mean ASSD to the label map's surfaces of the
structures that the stack shows, each heart after the translation of its slices is undone.
"""

import argparse
import json
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from scipy.ndimage import zoom
from sliced_hearts import SHORT_AXIS, as_views, common_mm, off_mm

from vecsetx import load
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import PointsSource
from vecsetx.evaluation.surface_distance import mesh_distances
from vecsetx.formats.points import LabelledPoints
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart import Heart, MeshOptions
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.views.contours_file import write_points
from vecsetx.views.shifts import Alignment, align, holds_of
from vecsetx.views.slices import Slice, slices_of
from vecsetx.views.with_model import by_model

Surfaces = Mapping[str, Surface]


def surfaces_of(label_map: LabelMap, structures: tuple[str, ...]) -> Surfaces:
    closed = Geometry.of_label_map(label_map, len(structures)).closed
    return {
        name: Surface(vertices_mm.astype(np.float32), faces)
        for name, (vertices_mm, faces) in zip(structures, closed, strict=True)
        if name in SHORT_AXIS
    }


def reconstructed(aligned: Alignment, trained: TrainedModel, seed: int) -> Surfaces:
    """The model's meshes of contours."""
    contours = aligned.shifted()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "contours.csv"
        points = LabelledPoints(contours.points_mm, contours.structure)
        write_points(path, points, trained.structures)
        source = PointsSource("heart", path, trained.label_set)
        heart = Heart.of(source, trained, EncodeOptions(seed=seed))
    return heart.meshes(MeshOptions(resolution_mm=1.5)).surfaces


def interpolated(stack: LabelMap, structures: tuple[str, ...]) -> Surfaces:
    """Surfaces of a stack, whose labels are interpolated linearly between slices."""
    finer = int(np.rint(stack.spacing_mm[2] / stack.spacing_mm[0]))
    count = (stack.shape[2] - 1) * finer + 1
    shares = [
        zoom((stack.labels == label).astype(float), (1, 1, count / stack.shape[2]), order=1)
        for label in range(len(structures) + 1)
    ]
    affine = stack.affine.copy()
    affine[:3, 2] *= (stack.shape[2] - 1) / (count - 1)
    return surfaces_of(LabelMap(np.argmax(shares, axis=0).astype(np.uint8), affine), structures)


def assd_mm(made: Surfaces, true: Surfaces, moved_mm: np.ndarray) -> float:
    """Mean over the structures, after a translation of what was made."""
    return float(
        np.mean(
            [
                mesh_distances(
                    truth,
                    Surface(made[name].vertices_mm + moved_mm.astype(np.float32), made[name].faces),
                ).assd_mm()
                for name, truth in true.items()
            ]
        )
    )


def scored(
    path: Path, labels: str, largest_mm: float, seed: int, trained: TrainedModel
) -> dict[str, Any]:
    names = trained.structures
    (source,) = find_hearts([path], label_set(labels)).values()
    heart = source.segmentation(names).label_map
    true = surfaces_of(heart, names)
    views, shifts = as_views(heart, names, largest_mm, np.random.default_rng(seed))
    stack: list[Slice] = slices_of(views["sax"], str(path), "sax", 0, len(names))
    every = [*stack]
    for number, name in enumerate(("2ch", "4ch"), start=1):
        every += slices_of(views[name], str(path), name, number, len(names))
    found: dict[str, Any] = {"heart": str(path), "seed": seed}
    for title, slices, kind in (
        ("as they lie", every, "none"),
        ("stack", stack, "slice"),
        ("views", every, "slice"),
    ):
        began = time.monotonic()
        aligned = align(slices, holds_of(slices, kind), by_model(trained, seed))
        took_s = time.monotonic() - began
        true_mm = np.array([shifts[one.name.split()[0]][one.number - 1] for one in slices])
        directions = np.stack([one.directions for one in slices])
        off = off_mm(aligned.shifts_mm, true_mm, directions)
        whole_mm = common_mm(aligned.shifts_mm, true_mm, directions)
        found[title] = {
            "off_mm": float(off.mean()),
            "largest_off_mm": float(off.max()),
            "left_out": int((~aligned.kept).sum()),
            "mismatch_mm": aligned.mismatch_mm[1],
            "assd_mm": assd_mm(reconstructed(aligned, trained, seed), true, -whole_mm),
            "align_s": took_s,
        }
    true_mm = np.array([shifts["sax"][one.number - 1] for one in stack])
    whole_mm = common_mm(0 * true_mm, true_mm, np.stack([one.directions for one in stack]))
    found["interpolated"] = {"assd_mm": assd_mm(interpolated(views["sax"], names), true, -whole_mm)}
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hearts", nargs="+", type=Path)
    parser.add_argument("--labels", default="general/kcl.yaml")
    parser.add_argument("--shift-mm", type=float, default=6.0)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    trained = load(given.model) if given.model else load()
    rows = []
    for path in given.hearts:
        for seed in range(given.seeds):
            row = scored(path, given.labels, given.shift_mm, seed, trained)
            rows.append(row)
            print(f"{path}, seed {seed}")
            for title, values in row.items():
                if isinstance(values, dict):
                    told = ", ".join(f"{key} {value:.3g}" for key, value in values.items())
                    print(f"  {title}: {told}")
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
