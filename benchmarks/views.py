"""Hearts put together from views: how well shifts are recovered, and what they are worth.

    python benchmarks/views.py LABELS... [--labels general/kcl.yaml] [--shift-mm 6] [--seeds 1]
                               [--through-mm 0] [--through-plane 0] [--quick]
                               [--model MODEL] [--json FILE]

Each label map is sliced as cine MRI shows a heart (``sliced_hearts.py``): ten short-axis slices, a
2CH and a 4CH, each moved within its plane by up to ``--shift-mm``, and through it by up to
``--through-mm``. It is then reconstructed

* from all views as they lie,
* from the short-axis stack alone, with shifts,
* from all views, with shifts: ``vecsetx reconstruct --one-heart --ensemble 8``;

and the stack's labels are interpolated linearly between its slices. It prints how far the shifts
are off, but for a translation of all slices; the mean ASSD to the label map's surfaces of the
structures that the stack shows, each heart after the translation of its slices is undone; and the
error of LV's volume. Of the command, it also prints the time, and the share of these true surfaces
between the slices within two standard deviations (``between``). ``--quick`` only estimates shifts
of all views, and scores the heart at 1.5 mm.
"""

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import igl
import numpy as np
import pyvista
from scipy.ndimage import zoom
from sliced_hearts import SHORT_AXIS, as_views, common_mm, off_mm

from vecsetx import load
from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.commands.reconstruct import ReconstructOptions, reconstruct
from vecsetx.data.find_hearts import find_hearts
from vecsetx.data.sources import PointsSource
from vecsetx.evaluation.calibration import VertexErrors
from vecsetx.evaluation.surface_distance import mesh_distances
from vecsetx.formats.label_maps import write_label_map
from vecsetx.formats.points import LabelledPoints
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions
from vecsetx.inference.heart import Heart, MeshOptions
from vecsetx.model.built_in import built_in_model
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.surfaces import Surface
from vecsetx.views.contours_file import write_points
from vecsetx.views.shifts import Alignment, align, holds_of
from vecsetx.views.slices import Slice, slices_of
from vecsetx.views.with_model import by_model

MEMBERS = 8
FROM_SLICES_MM = 3.0
"""What is farther from every slice is between them."""

POINTS = 5000
"""Points of each true surface that are compared with standard deviations."""

Surfaces = Mapping[str, Surface]


def surfaces_of(label_map: LabelMap, structures: tuple[str, ...]) -> Surfaces:
    closed = Geometry.of_label_map(label_map, len(structures)).closed
    return {
        name: Surface(vertices_mm.astype(np.float32), faces)
        for name, (vertices_mm, faces) in zip(structures, closed, strict=True)
        if name in SHORT_AXIS
    }


def reconstructed(
    aligned: Alignment, trained: TrainedModel, seed: int, ensemble: int = 0
) -> Surfaces:
    """The model's meshes of contours, with uncalibrated standard deviations of an ensemble."""
    contours = aligned.shifted()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "contours.csv"
        points = LabelledPoints(contours.points_mm, contours.structure)
        write_points(path, points, trained.structures)
        source = PointsSource("heart", path, trained.label_set)
        heart = Heart.of(source, trained, EncodeOptions(seed=seed), ensemble=ensemble)
    meshes = heart.meshes(MeshOptions(resolution_mm=1.5))
    sd_mm = heart.vertex_attributes(meshes).sd_mm
    return {
        name: Surface(one.vertices_mm, one.faces, sd_mm=sd_mm.get(name))
        for name, one in meshes.surfaces.items()
    }


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


def command(
    views: Mapping[str, LabelMap], model: Path, names: tuple[str, ...], options: ReconstructOptions
) -> tuple[dict[str, Any], Surfaces, tuple[float, float]]:
    """What the command makes of views: ``shifts.json``, meshes, and the seconds it takes.

    By the clock, and of CPU, which other programs hardly change.
    """
    ids = label_set("default")
    with TemporaryDirectory() as folder:
        out, paths = Path(folder) / "out", [Path(folder) / f"{name}.nii.gz" for name in views]
        for path, view in zip(paths, views.values(), strict=True):
            write_label_map(view.to_label_set(ids, names), path, names, ids)
        began = time.monotonic(), time.process_time()
        silent(reconstruct, model, paths, out, options)
        took_s = time.monotonic() - began[0], time.process_time() - began[1]
        table = json.loads((out / "views" / "shifts.json").read_text())
        meshes = {name: pyvista.read(out / f"{name}.vtp") for name in SHORT_AXIS}
    made = {
        name: Surface(mesh.points, mesh.regular_faces, sd_mm=mesh["sd_mm"])
        for name, mesh in meshes.items()
    }
    return table, made, took_s


def moved(made: Surfaces, by_mm: np.ndarray) -> Surfaces:
    """Surfaces after a translation."""
    return {
        name: replace(one, vertices_mm=one.vertices_mm + by_mm.astype(np.float32))
        for name, one in made.items()
    }


def compared(made: Surfaces, true: Surfaces) -> dict[str, float]:
    """Mean ASSD over the structures, and the error of LV's volume."""
    each_mm = [mesh_distances(truth, made[name]).assd_mm() for name, truth in true.items()]
    volume = made["LV"].volume_mm3 / true["LV"].volume_mm3 - 1
    return {"assd_mm": float(np.mean(each_mm)), "lv_%": 100 * volume}


def errors_between(
    made: Surfaces, true: Surfaces, slices: Sequence[Slice]
) -> dict[str, VertexErrors]:
    """How far true surfaces are from those made, and the standard deviations there.

    Between the first and the last slice of the stack, and away from all slices.
    """
    found = {}
    stack = [one for one in slices if one.view == 0]
    for name, truth in true.items():
        points_mm = np.random.default_rng(0).permutation(truth.vertices_mm)[:POINTS].astype(float)
        off_mm = np.stack([(points_mm - one.origin_mm) @ one.normal for one in slices], axis=1)
        heights_mm = off_mm[:, : len(stack)]
        inside = (heights_mm.min(axis=1) < 0) & (heights_mm.max(axis=1) > 0)
        points_mm = points_mm[inside & (np.abs(off_mm).min(axis=1) > FROM_SLICES_MM)]
        one = made[name]
        vertices_mm, faces = one.vertices_mm.astype(float), np.asarray(one.faces, np.int64)
        squares, face, nearest_mm = igl.point_mesh_squared_distance(points_mm, vertices_mm, faces)
        corners = (vertices_mm[faces[face, corner]] for corner in range(3))
        shares = igl.barycentric_coordinates(nearest_mm, *corners)
        sd_mm = (shares * one.sd_mm[faces[face]]).sum(axis=1)
        found[name] = VertexErrors(np.sqrt(squares), sd_mm)
    return found


def between(made: Surfaces, true: Surfaces, slices: Sequence[Slice]) -> dict[str, float]:
    """How often true surfaces between slices lie within two standard deviations of those made."""
    each = errors_between(made, true, slices)
    errors = VertexErrors.joined(each.values())
    shares = {"between_%": errors} | {f"{name}_%": own for name, own in each.items()}
    return {
        **{name: 100 * (own.error_mm <= 2 * own.sd_mm).mean() for name, own in shares.items()},
        "rms_mm": np.sqrt((errors.error_mm**2).mean()),
        "sd_mm": errors.sd_mm.mean(),
    }


def silent(function: Callable[..., Any], *given: Any) -> Any:
    """Call a function without what it prints."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return function(*given)


def scored(path: Path, model: Path, trained: TrainedModel, seed: int, given: Any) -> dict[str, Any]:
    names = trained.structures
    (source,) = find_hearts([path], label_set(given.labels)).values()
    heart = source.segmentation(names).label_map
    true = surfaces_of(heart, names)
    generator = np.random.default_rng(seed)
    views, shifts = as_views(heart, names, given.shift_mm, generator, given.through_mm)
    slices: list[Slice] = []
    for number, (name, view) in enumerate(views.items()):
        slices += slices_of(view, str(path), name, number, len(names))
    found: dict[str, Any] = {"heart": str(path), "seed": seed}

    def truth(some: Sequence[Slice]) -> tuple[np.ndarray, np.ndarray]:
        """The true shifts of slices, and their directions."""
        rows = [shifts[one.name.split()[0]][one.number - 1] for one in some]
        return np.array(rows)[:, :2], np.stack([one.directions for one in some])

    def add(title: str, some: Sequence[Slice], found_mm: np.ndarray, made: Surfaces) -> Surfaces:
        true_mm, directions = truth(some)
        off = off_mm(found_mm, true_mm, directions)
        back = moved(made, -common_mm(found_mm, true_mm, directions))
        found[title] = {"off_mm": off.mean(), "largest_mm": off.max(), **compared(back, true)}
        return back

    through_mm = [shifts[one.name.split()[0]][one.number - 1][2] for one in slices]
    if given.quick:
        aligned = align(
            slices, holds_of(slices, "slice"), by_model(trained, seed), given.through_plane
        )
        made = reconstructed(aligned, trained, seed)
        add("views", slices, aligned.shifts_mm[:, :2], made)
        found["views"]["through_off_mm"] = np.abs(aligned.shifts_mm[:, 2] - through_mm).mean()
        return found
    stack = [one for one in slices if one.view == 0]
    add("interpolated", stack, np.zeros((len(stack), 2)), interpolated(views["sax"], names))
    for title, some, kind in (("as they lie", slices, "none"), ("stack", stack, "slice")):
        aligned = align(some, holds_of(some, kind), by_model(trained, seed))
        add(title, some, aligned.shifts_mm[:, :2], reconstructed(aligned, trained, seed))
    options = ReconstructOptions(
        EncodeOptions(seed=seed),
        ensemble=MEMBERS,
        one_heart=True,
        space="ras",
        through_plane_mm=given.through_plane,
    )
    table, made, took_s = command(views, model, names, options)
    rows = table["slices"]
    made = add("views", slices, np.array([row["along_mm"] for row in rows]), made)
    found["views"] |= {
        "left_out": len(table["left_out"]),
        "through_off_mm": np.abs(np.array([row["through_mm"] for row in rows]) - through_mm).mean(),
        "mismatch_mm": table["mismatch_mm"]["after"],
        "seconds": took_s[0],
        "cpu_seconds": took_s[1],
        **between(made, true, slices),
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("hearts", nargs="+", type=Path)
    parser.add_argument("--labels", default="general/kcl.yaml")
    parser.add_argument("--shift-mm", type=float, default=6.0)
    parser.add_argument("--through-mm", type=float, default=0.0, help="true shifts")
    parser.add_argument("--through-plane", type=float, default=0.0, help="as of the command")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--model", type=Path, default=built_in_model())
    parser.add_argument("--quick", action="store_true", help="the shifts of all views alone")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    trained = load(given.model)
    rows = []
    for path in given.hearts:
        for seed in range(given.seeds):
            row = scored(path, given.model, trained, seed, given)
            rows.append(row)
            print(f"{path}, seed {seed}")
            for title, values in row.items():
                if isinstance(values, dict):
                    told = ", ".join(f"{key} {value:.3g}" for key, value in values.items())
                    print(f"  {title}: {told}", flush=True)
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2))


if __name__ == "__main__":
    main()
