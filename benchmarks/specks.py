"""Dice of phantoms with and without their specks: python benchmarks/specks.py MODEL [--count 6]."""

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.phantom import PhantomHeart
from vecsetx.evaluation.overlap import overlaps
from vecsetx.geometry.heart_geometry import Geometry
from vecsetx.inference.encode import EncodeOptions, encode_heart
from vecsetx.inference.heart_meshes import mesh_grid
from vecsetx.inference.support import Support
from vecsetx.model.saved import TrainedModel
from vecsetx.reconstruction.octree import evaluate_exclusive
from vecsetx.reconstruction.rasterize import rasterize
from vecsetx.reconstruction.specks import find_specks

SEED = 20261128
"""Of the phantoms, which no model has seen."""


def shown(truth: LabelMap, count: int, hidden: int | None) -> Geometry:
    """The heart, or the heart without one structure."""
    left = truth if hidden is None else truth.without([hidden + 1])
    return Geometry.of_label_map(left, count)


def main() -> None:
    """Print a line per structure: Dice with and without specks, and the specks' number."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--spacing-mm", type=float, default=2.0)
    options = parser.parse_args()
    trained = TrainedModel.from_pretrained(options.model)
    names = trained.structures
    dice: dict[tuple[str, str], list[tuple[float, float]]] = defaultdict(list)
    removed: dict[tuple[str, str], list[int]] = defaultdict(list)
    for index in range(options.count):
        heart = PhantomHeart.random(np.random.default_rng([SEED, index]))
        truth = heart.voxelize(round(135 / options.spacing_mm), options.spacing_mm)
        for hidden in (None, index % len(names)):
            geometry = shown(truth, len(names), hidden)
            field = encode_heart(geometry, trained, EncodeOptions(refine=0))
            octree = evaluate_exclusive(field, mesh_grid(field, 128))
            specks = find_specks(octree, Support(geometry))
            pair = [rasterize(f, truth).labels for f in (field, specks.field(field))]
            found = [overlaps(truth.labels, labels, len(names)) for labels in pair]
            for k, name in enumerate(names):
                part = "inferred" if k == hidden else "observed"
                if found[0][k].truth:
                    dice[name, part].append((found[0][k].dice or 0.0, found[1][k].dice or 0.0))
                    removed[name, part].append(specks.removed.get(name, 0))
    for part in ("observed", "inferred"):
        for name in names:
            if scores := dice[name, part]:
                before, after = np.mean(scores, axis=0)
                print(
                    f"{part} {name}: Dice {before:.4f} → {after:.4f}, "
                    f"{np.mean(removed[name, part]):.1f} specks per heart, n = {len(scores)}"
                )
        if every := [pair for (_, p), pairs in dice.items() if p == part for pair in pairs]:
            before, after = np.mean(every, axis=0)
            change = np.subtract.reduce(np.array(every)[:, ::-1], axis=1)
            least, most = change.min(), change.max()
            print(f"{part}: {before:.4f} → {after:.4f}, change {least:+.4f} to {most:+.4f}")


if __name__ == "__main__":
    main()
