"""Cost and accuracy of preparing a heart, compared with VecSetX's predecessor.

    python benchmarks/prepare.py [--size 256] [--spacing 0.9] [--hearts 16] [--json FILE]

The heart is an analytic phantom with known distances and volumes; at 0.9 mm, its coronary arteries
have a radius of 2.2 to 1.1 voxels and its myocardium is 10 voxels thick. Both methods get the same
label map and compute distances at the same points, each in a process of its own with one thread:

* ours: exact distances to a smooth surface that structures share;
* the predecessor's: Euclidean distance transforms of the whole grid, outside minus inside, for each
  structure, interpolated linearly at the points (``scipy.ndimage``).

Then it prepares a cohort with one process and with two, and reads a training step's part of a heart
from disk. It prints tables and writes JSON. It takes about ten minutes on two cores, most of them
for the predecessor's method.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.anatomy.sign import inside, label_of
from vecsetx.data.sources import LabelMapSource
from vecsetx.formats.label_maps import read_label_map, write_label_map
from vecsetx.geometry.distance import signed_distances_mm
from vecsetx.sampling.sampler import SamplingSpec
from vecsetx.sampling.samples import SamplesFile, write_samples

STRUCTURES = label_set("default").structures
CORONARY = STRUCTURES.index("Coronary")
ONE_THREAD = {"OMP_NUM_THREADS": "1", "IGL_NUM_THREADS": "1"}
NEAR_VOXELS = 3
REPEATS = 200
"""Number of times that each read is timed."""

PROBES = 400_000
PROBE_MARGIN_VOXELS = 3


def heart_of(seed: int) -> PhantomHeart:
    return PhantomHeart.random(np.random.default_rng([seed, 0]))


def measured(work: Any) -> dict[str, float]:
    """Measure CPU and wall seconds of a call, and the peak memory of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return {
        "cpu_s": time.process_time() - cpu,
        "wall_s": time.perf_counter() - wall,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def run_ours(folder: Path) -> None:
    """Sample a heart from file to file; then compute distances at the probes."""
    source = LabelMapSource("heart", folder / "heart.nii.gz", label_set("default"))

    def prepare() -> None:
        samples = source.samples(STRUCTURES, SamplingSpec(), seed=0)
        write_samples(samples, folder / "heart.safetensors")

    figures = measured(prepare)
    geometry = source.segmentation(STRUCTURES).geometry()
    probes = np.load(folder / "probes.npy")
    found = signed_distances_mm(probes, geometry.closed, geometry.label_map)
    np.save(folder / "ours_probes.npy", found)
    (folder / "ours.json").write_text(json.dumps(figures))


def run_predecessor(folder: Path) -> None:
    """Compute distances at the same points from distance transforms of the whole grid."""
    from scipy import ndimage

    samples = SamplesFile(folder / "heart.safetensors").read()
    groups = [getattr(samples, name).points_mm for name in ("surface", "near", "volume")]
    probes = np.load(folder / "probes.npy")
    points = np.concatenate([*groups, probes])
    found = np.empty((len(points), len(STRUCTURES)), np.float32)

    def prepare() -> None:
        label_map = read_label_map(folder / "heart.nii.gz")
        indices = label_map.to_indices(points.astype(np.float64)).T
        for k in range(len(STRUCTURES)):
            mask, spacing = label_map.labels == k + 1, label_map.spacing_mm
            distance = ndimage.distance_transform_edt(~mask, spacing)
            distance -= ndimage.distance_transform_edt(mask, spacing)
            found[:, k] = ndimage.map_coordinates(distance, indices, order=1, mode="nearest")

    figures = measured(prepare)
    np.save(folder / "predecessor.npy", found)
    (folder / "predecessor.json").write_text(json.dumps(figures))


def gradients(heart: PhantomHeart, points: np.ndarray, structure: np.ndarray) -> np.ndarray:
    """Compute the gradient of the true distance to each point's structure."""
    step, rows = 0.02, np.arange(len(points))
    sides = [
        heart.distances_mm(points + step * axis)[rows, structure]
        - heart.distances_mm(points - step * axis)[rows, structure]
        for axis in np.eye(3)
    ]
    return np.stack(sides, axis=-1) / (2 * step)


def truth(
    heart: PhantomHeart, points: np.ndarray, within_mm: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return true distances, and where they are exact and at most ``within_mm``.

    Near creases, the phantom's distances are only bounds. They are exact where a step back along
    the gradient, by the distance, ends on the surface.
    """
    true = heart.distances_mm(points)
    exact = np.zeros(true.shape, bool)
    for k in range(true.shape[1]):
        close = np.flatnonzero(np.abs(true[:, k]) < within_mm)
        structure = np.full(len(close), k)
        gradient = gradients(heart, points[close], structure)
        length = np.linalg.norm(gradient, axis=1)
        foot = points[close] - true[close, k, None] * gradient / length[:, None]
        on_surface = np.abs(heart.distances_mm(foot)[:, k]) < 0.02
        exact[close, k] = on_surface & (np.abs(length - 1) < 0.02)
    return true, exact


def exactness(
    heart: PhantomHeart,
    voxel_mm: float,
    near: tuple[np.ndarray, np.ndarray, np.ndarray],
    all_found: np.ndarray,
    probes: np.ndarray,
    probes_found: np.ndarray,
) -> dict[str, float]:
    """Compute errors against the truth; ``near``: computed and true distances, and their mask."""
    near_found, true, exact = near
    errors = np.abs(near_found - true)[exact] / voxel_mm
    is_coronary = inside(heart.distances_mm(probes))[:, CORONARY]
    return {
        "near_error_voxels": float(errors.mean()),
        "near_error_median_voxels": float(np.median(errors)),
        "near_error_p95_voxels": float(np.percentile(errors, 95)),
        "coronary_volume": float(
            inside(probes_found[:, CORONARY]).sum() / np.count_nonzero(is_coronary)
        ),
        "inside_two": int((inside(all_found).sum(axis=1) > 1).sum()),
    }


def disagreements(folder: Path, points_mm: np.ndarray, found: np.ndarray) -> dict[str, float]:
    """Count points, over a voxel from any wall, whose distances disagree with the label."""
    label_map = read_label_map(folder / "heart.nii.gz")
    labels = label_map.at(points_mm.astype(np.float64))
    differs = labels != label_of(found)
    clear = np.abs(found).min(axis=1) > label_map.spacing_mm.max()
    return {
        "label_disagreements": int((differs & clear).sum()),
        "label_agreement": float(1 - differs.mean()),
    }


def normals_error(heart: PhantomHeart, surface: Any) -> float:
    """Compute the median angle, degrees, between our normals and the true gradient."""
    gradient = gradients(heart, surface.points_mm.astype(np.float64), surface.structure)
    gradient /= np.linalg.norm(gradient, axis=1, keepdims=True)
    cosine = np.clip(np.einsum("ni,ni->n", gradient, surface.normals), -1, 1)
    return float(np.degrees(np.median(np.arccos(cosine))))


def coronary_probes(folder: Path) -> np.ndarray:
    """Return random points, uniform over boxes that contain the whole coronary arteries."""
    label_map = read_label_map(folder / "heart.nii.gz")
    voxels = np.argwhere(label_map.labels == CORONARY + 1)
    margin = PROBE_MARGIN_VOXELS
    shape = np.array(label_map.shape) + 2 * margin
    dilated = np.zeros(shape, bool)
    for offset in np.ndindex(*[2 * margin + 1] * 3):
        dilated[tuple((voxels + np.array(offset)).T)] = True
    generator = np.random.default_rng(0)
    chosen = generator.choice(np.argwhere(dilated) - margin, PROBES)
    return label_map.to_mm(chosen + generator.uniform(-0.5, 0.5, chosen.shape))


def one_heart(folder: Path, size: int, spacing_mm: float, seed: int) -> dict[str, Any]:
    heart = heart_of(seed)
    write_label_map(heart.voxelize(size, spacing_mm), folder / "heart.nii.gz")
    np.save(folder / "probes.npy", coronary_probes(folder))
    probes = np.load(folder / "probes.npy")
    for way in ("ours", "predecessor"):
        command = [sys.executable, __file__, "--way", way, str(folder)]
        subprocess.run(command, check=True, env=os.environ | ONE_THREAD)
    samples = SamplesFile(folder / "heart.safetensors").read()
    groups = (samples.surface, samples.near, samples.volume)
    points = np.concatenate([group.points_mm for group in groups])
    theirs = np.load(folder / "predecessor.npy")
    near = slice(len(groups[0].points_mm), len(groups[0].points_mm) + len(groups[1].points_mm))
    found = {
        "ours": (
            np.concatenate([group.distances_mm for group in groups]),
            np.load(folder / "ours_probes.npy"),
        ),
        "predecessor": (theirs[: len(points)], theirs[len(points) :]),
    }
    rows = {}
    near_mm = points[near].astype(np.float64)
    true, exact = truth(heart, near_mm, NEAR_VOXELS * spacing_mm)
    close = np.count_nonzero(np.abs(true) < NEAR_VOXELS * spacing_mm)
    for way, (distances, at_probes) in found.items():
        judged = (distances[near], true, exact)
        rows[way] = {
            **json.loads((folder / f"{way}.json").read_text()),
            **exactness(heart, spacing_mm, judged, distances, probes, at_probes),
            **disagreements(folder, points, distances),
        }
    rows["ours"]["normals_median_degrees"] = normals_error(heart, samples.surface)
    rows["truth"] = {"exact_share": exact.sum() / close}
    rows["ratio"] = {"cpu": rows["predecessor"]["cpu_s"] / rows["ours"]["cpu_s"]}
    return rows


def cohort(folder: Path, hearts: int, size: int, spacing_mm: float) -> dict[str, float]:
    """Time the preparation of a cohort with one and two processes, alternating, twice each."""
    from vecsetx.commands.phantom import make_phantoms
    from vecsetx.commands.prepare import PrepareOptions, prepare

    maps = make_phantoms(folder / "cohort", hearts, 0, size, spacing_mm, None)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    for turn in range(2):
        for workers in (1, 2):
            began = time.perf_counter()
            prepare(maps, folder / f"data{turn}{workers}", PrepareOptions(workers=workers))
            seconds[workers].append(time.perf_counter() - began)
    one, two = (min(seconds[workers]) for workers in (1, 2))
    return {"hearts": hearts, "one_s": one, "two_s": two, "scaling": one / two}


def reads(folder: Path) -> dict[str, float]:
    """Measure milliseconds to read one heart's part of a training step from its file."""
    from vecsetx.data.buffer import BatchBuffer
    from vecsetx.data.draw import BatchSpec, draw_heart  # torch, which workers do not import

    generator = np.random.default_rng(0)
    file = SamplesFile(folder / "heart.safetensors")
    spec = BatchSpec(points=1024, surface=1024, near=1024, volume=1024)
    buffer = BatchBuffer.empty(1, *spec.counts, len(STRUCTURES)).heart(0)

    def read() -> None:
        surface, near, volume = (
            (int(generator.integers(file.count(group))), 1024)
            for group in ("surface", "near", "volume")
        )
        file.part(surface, near, volume)

    def augmented() -> None:
        draw_heart(file, STRUCTURES, STRUCTURES, spec, None, generator, buffer)

    def timed(work: Any) -> float:
        work()
        times = []
        for _ in range(REPEATS):
            began = time.perf_counter()
            work()
            times.append(time.perf_counter() - began)
        return 1000 * float(np.median(times))

    arrays = {
        f"{g}_{n}": getattr(getattr(file.read(), g), n)
        for g, n in (
            ("surface", "points_mm"),
            ("near", "points_mm"),
            ("near", "distances_mm"),
            ("volume", "points_mm"),
            ("volume", "distances_mm"),
        )
    }
    np.savez_compressed(folder / "heart.npz", **arrays)

    def npz() -> None:
        loaded = np.load(folder / "heart.npz")
        rows = generator.integers(0, 50_000, 1024)
        for name in arrays:
            loaded[name][rows]

    return {
        "read_ms": timed(read),
        "draw_ms": timed(augmented),
        "open_ms": timed(lambda: SamplesFile(folder / "heart.safetensors")),
        "npz_compressed_ms": timed(npz),
    }


def show(results: dict[str, Any], console: Console) -> None:
    one = results["heart"]
    table = Table(
        title=f"One heart, {results['size']}³ at {results['spacing_mm']} mm, 10 structures"
    )
    for heading in ("", "ours", "predecessor's"):
        table.add_column(heading, justify="right")
    for key, title, form in (
        ("cpu_s", "CPU seconds", "{:.2f}"),
        ("peak_mb", "peak memory, MB", "{:.0f}"),
        ("near_error_voxels", "error near surfaces, voxels: mean", "{:.3f}"),
        ("near_error_median_voxels", "median", "{:.3f}"),
        ("near_error_p95_voxels", "95th percentile", "{:.3f}"),
        ("coronary_volume", "coronary volume / truth", "{:.3f}"),
        ("inside_two", "points inside two structures", "{:d}"),
        ("label_disagreements", "points whose signs and label disagree", "{:d}"),
        ("normals_median_degrees", "normals, median error in degrees", "{:.2f}"),
    ):
        cells = [
            form.format(one[way][key]) if key in one[way] else "–"
            for way in ("ours", "predecessor")
        ]
        table.add_row(title, *cells)
    console.print(table)
    console.print(f"ratio of CPU seconds: {one['ratio']['cpu']:.1f}")
    console.print(
        f"near errors where the truth is exact: {one['truth']['exact_share']:.1%} of pairs"
    )
    for title in ("cohort", "reads"):
        if title in results:
            console.print(title, {key: round(value, 3) for key, value in results[title].items()})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--spacing", type=float, default=0.9, help="mm")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hearts", type=int, default=16, help="size of the cohort; 0 for none")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/prepare.json"))
    parser.add_argument("--way", choices=("ours", "predecessor"), help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        (run_ours if options.way == "ours" else run_predecessor)(options.folder)
        return
    results: dict[str, Any] = {"size": options.size, "spacing_mm": options.spacing}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        results["heart"] = one_heart(folder, options.size, options.spacing, options.seed)
        results["reads"] = reads(folder)
        if options.hearts:
            results["cohort"] = cohort(folder, options.hearts, options.size, options.spacing)
    show(results, Console())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
