"""Print shape spaces and the hearts that are drawn from them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vecsetx.cohort.generating import GeneratedHeart
from vecsetx.cohort.placing import PlacedHeart
from vecsetx.population.space_file import SavedSpace
from vecsetx.terminal.measures_tables import print_measures
from vecsetx.terminal.progress_bars import console
from vecsetx.terminal.table import Column, counted, print_list, print_table

__all__ = ["print_cohort", "print_placements", "print_space"]

_SHOWN_MODES = 10
_LISTED = 10


def print_space(saved: SavedSpace, template: str) -> None:
    """Print the modes of a space, and the volumes of its cohort."""
    shares = saved.space.position_shares
    rows = [
        [str(mode + 1), f"{100 * share:.1f}%", f"{100 * total:.1f}%"]
        for mode, (share, total) in enumerate(
            zip(shares[:_SHOWN_MODES], np.cumsum(shares), strict=False)
        )
    ]
    columns = [Column("mode"), Column("variance"), Column("in total")]
    print_table(f"Modes of {counted(len(saved.cohort.names), 'heart')}", columns, rows)
    console.print(
        f"{counted(saved.space.leading, 'mode')} of {len(shares)} hold 90% of the variance of the "
        f"surfaces' positions; template: {template}",
        markup=False,
        soft_wrap=True,
    )
    volumes_ml = saved.cohort.volumes_ml
    rows = [
        [name, f"{np.nanmin(of):.1f}", f"{np.nanmedian(of):.1f}", f"{np.nanmax(of):.1f}"]
        for name, of in zip(saved.structures, volumes_ml.T, strict=True)
    ]
    columns = [Column("structure", is_text=True), *map(Column, ("least", "median", "most"))]
    print_table("Volumes of the cohort, ml", columns, rows)


def print_cohort(hearts: Mapping[str, GeneratedHeart], out: Path) -> None:
    """Print the numbers of drawn hearts, and what sets some of them apart."""
    print_measures({name: made.heart.measures for name, made in hearts.items()}, "cohort")
    odd = [f"{name}: {'; '.join(made.faults)}" for name, made in hearts.items() if made.faults]
    if odd:
        console.print(
            f"\n{len(odd)} of {counted(len(hearts), 'heart')} not like those of the cohort:",
            markup=False,
        )
        print_list(odd[:_LISTED])
        if len(odd) > _LISTED:
            print_list([f"{len(odd) - _LISTED} others, in cohort.csv"])
    nearest_mm = [made.nearest_mm for made in hearts.values()]
    console.print(
        f"the nearest fitted heart is {np.min(nearest_mm):.1f} to {np.max(nearest_mm):.1f} mm away "
        "(mean of the anchors)",
        markup=False,
    )
    console.print(
        f"the hearts, cohort.csv and cohort.json are in {out}", markup=False, soft_wrap=True
    )


def print_placements(hearts: Mapping[str, PlacedHeart], out: Path) -> None:
    """Print where hearts lie in a space, the most unusual first."""

    def unusual(name: str) -> float:
        found = hearts[name].placement
        return max(found.distance_percentile, found.residual_percentile)

    rows = [
        [
            name,
            f"{found.distance:.1f}",
            f"{found.distance_percentile:.0f}%",
            f"{found.residual_mm:.1f}",
            f"{found.residual_percentile:.0f}%",
            found.nearest[0],
            f"{found.nearest_mm[0]:.1f}",
        ]
        for name in sorted(hearts, key=unusual, reverse=True)
        for found in [hearts[name].placement]
    ]
    columns = [
        Column("heart", is_text=True),
        *map(Column, ("distance, s.d.", "cohort below", "residual, mm", "cohort below")),
        Column("nearest", is_text=True),
        Column("mm"),
    ]
    print_table("In the shape space, the most unusual first", columns, rows)
    for name, placed in hearts.items():
        if placed.without:
            console.print(
                f"{name}: placed without {', '.join(placed.without)}", markup=False, soft_wrap=True
            )
    console.print(f"placement.csv and placement.json are in {out}", markup=False, soft_wrap=True)
