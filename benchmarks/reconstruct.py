"""Octree compared with dense evaluation: queries, time, memory and surfaces.

    python benchmarks/reconstruct.py [--size 256] [--model RUN --heart LABELS] [--threads 2]
                                     [--json FILE]

Both reconstruct one heart of 10 structures with the same tiny model, on a cube of 256³ voxels
around it. Without ``--model``, a model is trained on a few phantoms first (about a minute). Each
method runs in a process of its own, so that its peak memory can be measured.
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
from scipy.spatial import KDTree

WAYS = ("octree", "dense")


def trained_on_phantoms(folder: Path, hearts: int, steps: int) -> tuple[Path, Path]:
    """Train a tiny model; return its run and an unseen phantom."""
    vecsetx = [sys.executable, "-m", "vecsetx"]
    labels, data, run = folder / "labels", folder / "data", folder / "run"
    for command in (
        ["phantom", labels, "--count", hearts + 1, "--size", 128, "--spacing", 1.0],
        ["prepare", labels, "--out", data],
        ["train", data, "--out", run, "--preset", "tiny", f"training.steps={steps}"],
    ):
        subprocess.run([*vecsetx, *map(str, command)], check=True)
    return run, sorted(labels.glob("*.nii.gz"))[-1]


def run_way(way: str, model: Path, heart: Path, size: int, threads: int, out: Path) -> None:
    """Reconstruct with one method; write figures, labels and vertices to ``out``."""
    import torch
    from dense import dense_octree

    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.data.sources import LabelMapSource
    from vecsetx.inference.encode import EncodeOptions, encode_heart
    from vecsetx.model.saved import TrainedModel
    from vecsetx.reconstruction.grid import Grid
    from vecsetx.reconstruction.octree import evaluate_exclusive, extent_mm
    from vecsetx.reconstruction.surface_net import shared_interfaces
    from vecsetx.reconstruction.surfaces import structure_surfaces

    torch.set_num_threads(threads)
    began = time.perf_counter()
    trained = TrainedModel.from_pretrained(model)
    source = LabelMapSource("heart", heart, label_set("default"))
    geometry = source.segmentation(trained.structures).geometry()
    loaded = time.perf_counter()
    field = encode_heart(geometry, trained, EncodeOptions(refine=0))
    encoded = time.perf_counter()
    low, high = extent_mm(field, *field.domain.domain_mm())
    half_mm = (high - low).max() / 2
    center = (low + high) / 2
    grid = Grid.fitted(center - half_mm, center + half_mm, size)
    found = time.perf_counter()
    evaluate = {"octree": evaluate_exclusive, "dense": dense_octree}[way]
    octree = evaluate(field, grid)
    evaluated = time.perf_counter()
    interfaces = shared_interfaces(octree)
    surfaces = structure_surfaces(interfaces, octree.structures)
    meshed = time.perf_counter()
    figures = {
        "queries": octree.queries,
        "read_s": loaded - began,
        "encode_s": encoded - loaded,
        "extent_s": found - encoded,
        "evaluate_s": evaluated - found,
        "mesh_s": meshed - evaluated,
        "extract_s": meshed - found,
        "whole_s": meshed - began,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "structures": len(surfaces),
        "faces": len(interfaces.faces),
        "spacing_mm": float(grid.spacing_mm[0]),
    }
    np.savez(out / f"{way}.npz", labels=octree.labels, vertices=interfaces.vertices_mm)
    (out / f"{way}.json").write_text(json.dumps(figures))


def compare(out: Path, spacing_mm: float) -> dict[str, float]:
    """Count differing labels, and measure the distance between the meshes' vertices in voxels."""
    octree, dense = (np.load(out / f"{way}.npz") for way in WAYS)
    there = KDTree(dense["vertices"]).query(octree["vertices"])[0].max()
    back = KDTree(octree["vertices"]).query(dense["vertices"])[0].max()
    return {
        "differing_voxels": int((octree["labels"] != dense["labels"]).sum()),
        "apart_voxels": float(max(there, back) / spacing_mm),
    }


def show(results: dict[str, Any], console: Console) -> None:
    size, octree, dense = results["size"], results["octree"], results["dense"]
    table = Table(
        title=f"One heart of {octree['structures']} structures at {size}³ "
        f"({octree['spacing_mm']:.2f} mm), {results['threads']} threads"
    )
    for heading in ("", "octree", "dense", "ratio"):
        table.add_column(heading, justify="right")
    for key, title, form in (
        ("queries", "queries", "{:,.0f}"),
        ("evaluate_s", "evaluation, seconds", "{:.1f}"),
        ("mesh_s", "meshing, seconds", "{:.1f}"),
        ("extract_s", "both", "{:.1f}"),
        ("whole_s", "whole heart, from file to meshes", "{:.1f}"),
        ("peak_mb", "peak memory, MB", "{:.0f}"),
        ("faces", "faces", "{:,.0f}"),
    ):
        cells = [form.format(way[key]) for way in (octree, dense)]
        table.add_row(title, *cells, f"{dense[key] / octree[key]:.1f}")
    console.print(table)
    console.print({key: round(octree[key], 2) for key in ("read_s", "encode_s", "extent_s")})
    console.print(results["difference"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--model", type=Path, help="a run's folder (default: train a model)")
    parser.add_argument("--heart", type=Path, help="a label map in the default label set")
    parser.add_argument("--phantoms", type=int, default=6, help="number of phantoms to train on")
    parser.add_argument("--steps", type=int, default=300, help="training steps")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/reconstruct.json"))
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("folder", nargs="?", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if (options.model is None) != (options.heart is None):
        parser.error("give both --model and --heart, or neither")
    size, threads = options.size, options.threads
    if options.way:
        run_way(options.way, options.model, options.heart, size, threads, options.folder)
        return
    results: dict[str, Any] = {"size": size, "threads": threads}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model, heart = options.model, options.heart
        if model is None:
            model, heart = trained_on_phantoms(folder, options.phantoms, options.steps)
        for way in WAYS:
            command = [sys.executable, __file__, "--way", way, "--size", size]
            command += ["--model", model, "--heart", heart, "--threads", threads, folder]
            environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
            subprocess.run(list(map(str, command)), check=True, env=environment)
            results[way] = json.loads((folder / f"{way}.json").read_text())
        results["difference"] = compare(folder, results["octree"]["spacing_mm"])
    show(results, Console())
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
