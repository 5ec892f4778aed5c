"""How far chambers spread in any direction, and which wrong spacings that betrays.

    python benchmarks/proportions.py [--phantoms 40] [--real ../shared/data] [--json FILE]

Per source of hearts: the spread along a direction as a multiple of that across it, over random
directions, which no limit may lie within; and of the hearts as they lie, how many have a remark
though nothing is wrong, and how many once the spacing along one axis is wrong by a factor.
"""

import argparse
import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from plausibility import STRUCTURES, phantoms, real_hearts
from rich.console import Console
from rich.table import Table
from scipy.spatial.transform import Rotation

from vecsetx.anatomy.label_map import LabelMap
from vecsetx.anatomy.proportions import odd_proportions

CHAMBERS = [STRUCTURES.index(name) + 1 for name in ("Myocardium", "LA", "LV", "RA", "RV")]
FACTORS = (3.0, 2.0, 1 / 2, 1 / 3)
DIRECTIONS = Rotation.random(50, rng=0).as_matrix()


def spreads(heart: LabelMap) -> np.ndarray:
    """The spread along each direction, as a multiple of that across it."""
    places_mm = heart.to_mm(np.argwhere(np.isin(heart.labels, CHAMBERS)).astype(float))
    turned = DIRECTIONS @ np.cov(places_mm.T) @ DIRECTIONS.transpose(0, 2, 1)
    along = np.diagonal(turned, axis1=1, axis2=2)
    return np.sqrt(along / ((along.sum(axis=1, keepdims=True) - along) / 2)).ravel()


def wrong(heart: LabelMap, factor: float) -> list[LabelMap]:
    """The heart with a wrong spacing along each axis."""
    scales = (np.where(np.arange(4) == axis, factor, 1.0) for axis in range(3))
    return [replace(heart, affine=heart.affine @ np.diag(scale)) for scale in scales]


def measured(hearts: Iterable[tuple[str, LabelMap]]) -> dict[str, dict[str, Any]]:
    """Source → number of hearts, range of spreads, false remarks, and remarks by factor."""
    table: dict[str, dict[str, Any]] = {}
    for source, heart in hearts:
        empty = {"hearts": 0, "low": np.inf, "high": 0.0, "false": 0, **dict.fromkeys(FACTORS, 0)}
        row = table.setdefault(source, empty)
        found = spreads(heart)
        row["hearts"] += 1
        row["low"], row["high"] = min(row["low"], found.min()), max(row["high"], found.max())
        row["false"] += bool(odd_proportions(heart, STRUCTURES))
        for factor in FACTORS:
            row[factor] += sum(bool(odd_proportions(h, STRUCTURES)) for h in wrong(heart, factor))
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--phantoms", type=int, default=40)
    parser.add_argument("--real", type=Path, default=Path("../shared/data"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    real = real_hearts(options.real) if options.real.is_dir() else ()
    table = measured(chain(real, phantoms(options.phantoms)))
    shown = Table(title="spread of the chambers, and remarks on a wrong spacing of one axis")
    for title in ("source", "hearts", "spread", "false", *(f"× {f:.2g}" for f in FACTORS)):
        shown.add_column(title)
    for source, row in table.items():
        counts = (f"{row[factor]} / {3 * row['hearts']}" for factor in FACTORS)
        spread = f"{row['low']:.2f} to {row['high']:.2f}"
        shown.add_row(source, str(row["hearts"]), spread, str(row["false"]), *counts)
    Console().print(shown)
    if options.json:
        options.json.write_text(json.dumps(table, indent=2, default=float))


if __name__ == "__main__":
    main()
