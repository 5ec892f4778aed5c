"""The command ``phantom``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.numbers import number
from vecsetx.cli.options import Seed, Workers
from vecsetx.ranges import Number

_ACROSS_MM, _CUTS = 133.0, 0.85
"""The largest of 16 phantoms, about the grid's centre, and the share of it that a grid shows at
least: 0.96 by default, where the ends of great vessels may be cut, as scans cut them."""


def phantom(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder for the label maps.")],
    count: Annotated[int, number(Number.PHANTOMS, metavar="N", help="Number of hearts.")] = 40,
    seed: Seed = 0,
    size: Annotated[
        int,
        number(Number.PHANTOM_SIZE, metavar="N", help="Voxels along each edge of a label map."),
    ] = 160,
    spacing: Annotated[
        float, number(Number.VOXEL_MM, metavar="MM", help="Edge of a voxel, mm.")
    ] = 0.8,
    scale: Annotated[
        float,
        number(
            Number.SCALE,
            metavar="FACTOR",
            help="Size of the hearts; 1.25 gives adult chambers.",
        ),
    ] = 1.0,
    frames: Annotated[
        int | None,
        number(
            Number.FRAMES,
            metavar="N",
            help="Make beating hearts: 4-D label maps of N frames of a cycle, and their true "
            "volumes (truth.csv, truth.json). Frame 1 is end diastole.",
        ),
    ] = None,
    workers: Workers = None,
) -> None:
    """Write synthetic hearts of 10 structures as NIfTI label maps.

    [dim]Example: vecsetx phantom labels/ --count 40 --seed 0[/]
    """
    from vecsetx.commands.cine.phantoms import make_beating_phantoms
    from vecsetx.commands.phantom import make_phantoms
    from vecsetx.terminal.next_step import print_next, typed, unused_folder
    from vecsetx.terminal.progress_bars import warn

    if frames is None:
        make_phantoms(out, count, seed, size, spacing, workers, scale)
    else:
        make_beating_phantoms(out, count, seed, size, spacing, frames, workers, scale)
    heart_mm, grid_mm = _ACROSS_MM * scale, size * spacing
    if grid_mm < _CUTS * heart_mm:
        warn(
            f"a grid of {grid_mm:.0f} mm cuts these hearts, which are up to {heart_mm:.0f} mm "
            f"across; --spacing {heart_mm / size:.1f} shows them whole"
        )
    if frames is None:
        print_next(typed("inspect", out))
    else:
        heart = out / "phantom000.nii.gz"
        print_next(typed("reconstruct", "--frames", heart, "--out", unused_folder("patient")))
