"""Print shape spaces and the hearts that are drawn from them."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vecsetx.cohort.generating import GeneratedHeart
from vecsetx.cohort.placing import PlacedHeart
from vecsetx.population.shape_space import FEW_HEARTS
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


def print_cohort(hearts: Mapping[str, GeneratedHeart], out: Path, each: bool = False) -> None:
    """Print the numbers of new hearts, and what sets some of them apart.

    Args:
        hearts: The hearts.
        out: Their folder.
        each: Whether each heart has a row with its volumes; else means of all are printed.
    """
    if each:
        _print_volumes(hearts)
    else:
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
        "(mean over its surfaces)",
        markup=False,
    )
    console.notice(f"the hearts, cohort.csv and cohort.json are in {out}")


def _print_volumes(hearts: Mapping[str, GeneratedHeart]) -> None:
    ending = "_volume_ml"
    names = dict.fromkeys(
        name for made in hearts.values() for name in made.heart.measures if name.endswith(ending)
    )
    rows = [
        [
            heart,
            *(
                f"{one.value:.1f}" if (one := made.heart.measures.get(name)) and one.known else ""
                for name in names
            ),
        ]
        for heart, made in hearts.items()
    ]
    columns = [Column("heart", is_text=True)]
    columns += [Column(name.removesuffix(ending)) for name in names]
    print_table("Volumes, ml", columns, rows, also_in="cohort.csv")


def print_placements(hearts: Mapping[str, PlacedHeart], cohort: int, out: Path) -> None:
    """Print where hearts lie in a space, the most unusual first.

    Args:
        hearts: The hearts.
        cohort: Number of hearts that they are compared with.
        out: Folder of the results.
    """

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
        for remark in placed.remarks:
            console.print(f"{name}: {remark}", markup=False, soft_wrap=True)
        if placed.without:
            console.print(
                f"{name}: placed without {', '.join(placed.without)}", markup=False, soft_wrap=True
            )
    if cohort < FEW_HEARTS:
        console.print(
            f"shares of a cohort of {counted(cohort, 'heart')} say little of how unusual a heart "
            "is",
            markup=False,
            soft_wrap=True,
        )
    console.notice(f"placement.csv and placement.json are in {out}")
