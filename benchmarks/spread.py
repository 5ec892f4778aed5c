"""Variation between phantoms, compared with variation between real hearts.

    python benchmarks/spread.py [--phantoms 48] [--real FOLDER --labels NAME] [--json FILE]

Hearts are aligned by the centroids of their chambers and great vessels (rotated, shifted and
scaled: generalized Procrustes analysis). The benchmark reports the variation of the size that this
removes, the distance of structures' centroids from their mean positions, and the variation of
structures' lengths along their principal axes, relative to the heart's size.
"""

import argparse
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table
from skimage.transform import SimilarityTransform

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.label_sets import label_set
from vecsetx.anatomy.phantom import STRUCTURES, PhantomHeart
from vecsetx.formats.label_maps import read_label_map

COMPARED = ("Myocardium", "LA", "LV", "RA", "RV", "Aorta", "PA")
"""Chambers and great vessels, which both kinds of hearts have."""

TURNS = 20
"""Rounds of aligning all hearts with their mean."""


@dataclass(frozen=True)
class Spread:
    """Variation between the hearts of a cohort.

    Attributes:
        size: Standard deviation of the size, as a share of the mean.
        places_mm: Per structure, root mean square distance of its centroid from the mean position.
        lengths: Per structure, standard deviation of its length along its principal axes relative
            to the heart's size, as a share of the mean; averaged over the three axes.
    """

    size: float
    places_mm: dict[str, float]
    lengths: dict[str, float]


def spread_of(label_maps: Iterable[LabelMap], structures: tuple[str, ...]) -> Spread:
    """Measure the variation in a cohort with labels 1…K in the order of ``structures``."""
    labels = [structures.index(name) + 1 for name in COMPARED]
    shapes = [[_middle_and_lengths(m, label) for label in labels] for m in label_maps]
    middles_mm = np.array([[middle for middle, _ in heart] for heart in shapes])
    lengths_mm = np.array([[length for _, length in heart] for heart in shapes])
    centred = middles_mm - middles_mm.mean(axis=1, keepdims=True)
    size_mm = np.sqrt((centred**2).sum(axis=(1, 2)))
    mean = centred[0]
    for _ in range(TURNS):
        fits = [SimilarityTransform.from_estimate(heart, mean) for heart in centred]
        laid = np.array([fit(heart) for fit, heart in zip(fits, centred, strict=True)])
        mean = laid.mean(axis=0)
        mean *= size_mm.mean() / np.sqrt((mean**2).sum())
    off_mm = np.sqrt(((laid - laid.mean(axis=0)) ** 2).sum(axis=2).mean(axis=0))
    relative = lengths_mm / size_mm[:, None, None]
    varied = (relative.std(axis=0) / relative.mean(axis=0)).mean(axis=1)
    return Spread(
        float(size_mm.std() / size_mm.mean()),
        dict(zip(COMPARED, off_mm.tolist(), strict=True)),
        dict(zip(COMPARED, varied.tolist(), strict=True)),
    )


def _middle_and_lengths(label_map: LabelMap, label: int) -> tuple[np.ndarray, np.ndarray]:
    points_mm = label_map.to_mm(np.argwhere(label_map.labels == label).astype(float))
    return points_mm.mean(axis=0), np.sqrt(np.linalg.eigvalsh(np.cov(points_mm.T))[::-1])


def phantoms(count: int, spacing_mm: float = 2.0) -> Iterator[LabelMap]:
    for index in range(count):
        heart = PhantomHeart.random(np.random.default_rng([0, index]))
        yield heart.voxelize(round(128 / spacing_mm), spacing_mm)


def real_hearts(folder: Path, labels: str) -> Iterator[LabelMap]:
    for path in sorted(folder.glob("*.nii.gz")):
        label_map = read_label_map(path)
        coarse = label_map.downsampled(max(round(2.0 / float(label_map.spacing_mm.max())), 1))
        yield coarse.to_structures(label_set(labels), COMPARED, str(path))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=48)
    parser.add_argument("--real", type=Path, help="folder of label maps")
    parser.add_argument("--labels", default="heartchambers", help="label set of the real hearts")
    parser.add_argument("--json", type=Path, default=Path("benchmarks/results/spread.json"))
    options = parser.parse_args()
    found = {"phantoms": spread_of(phantoms(options.phantoms), STRUCTURES)}
    if options.real:
        found["real hearts"] = spread_of(real_hearts(options.real, options.labels), COMPARED)
    table = Table()
    for heading in ("", "size, %", *(f"{name}: mm, %" for name in COMPARED), "all: mm, %"):
        table.add_column(heading, justify="right")
    for kind, spread in found.items():
        places, lengths = np.array([*spread.places_mm.values()]), [*spread.lengths.values()]
        overall = (float(np.sqrt((places**2).mean())), float(np.mean(lengths)))
        pairs = [*zip(places, lengths, strict=True), overall]
        cells = (f"{mm:.1f}  {100 * share:.1f}" for mm, share in pairs)
        table.add_row(kind, f"{100 * spread.size:.1f}", *cells)
    Console(width=max(Console().width, 140)).print(table)
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps({k: asdict(s) for k, s in found.items()}, indent=2) + "\n")


if __name__ == "__main__":
    main()
