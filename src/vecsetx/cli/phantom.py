"""The command ``phantom``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.options import Seed, Workers, above_zero


def phantom(
    out: Annotated[Path, typer.Argument(metavar="FOLDER", help="Folder for the label maps.")],
    count: Annotated[int, typer.Option(metavar="N", help="Number of hearts.", min=1)] = 40,
    seed: Seed = 0,
    size: Annotated[
        int, typer.Option(metavar="N", help="Voxels along each edge of a label map.", min=8)
    ] = 160,
    spacing: Annotated[
        float, typer.Option(metavar="MM", help="Edge of a voxel, mm.", callback=above_zero)
    ] = 0.8,
    scale: Annotated[
        float,
        typer.Option(
            metavar="FACTOR",
            help="Size of the hearts; 1.25 gives adult chambers.",
            callback=above_zero,
        ),
    ] = 1.0,
    workers: Workers = None,
) -> None:
    """Write synthetic hearts of 10 structures as NIfTI label maps.

    [dim]Example: vecsetx phantom labels/ --count 40 --seed 0[/]
    """
    from vecsetx.commands.phantom import make_phantoms

    make_phantoms(out, count, seed, size, spacing, workers, scale)
