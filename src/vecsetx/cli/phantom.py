"""The command ``phantom``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.numbers import number
from vecsetx.cli.options import Seed, Workers
from vecsetx.ranges import Number


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
    workers: Workers = None,
) -> None:
    """Write synthetic hearts of 10 structures as NIfTI label maps.

    [dim]Example: vecsetx phantom labels/ --count 40 --seed 0[/]
    """
    from vecsetx.commands.phantom import make_phantoms
    from vecsetx.terminal.next_step import print_next, typed

    make_phantoms(out, count, seed, size, spacing, workers, scale)
    print_next(typed("inspect", out))
