"""The command ``phantom``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.options import Seed, Workers


def phantom(
    out: Annotated[Path, typer.Argument(help="Folder for the label maps.")],
    count: Annotated[int, typer.Option(help="Hearts.", min=1)] = 40,
    seed: Seed = 0,
    size: Annotated[int, typer.Option(help="Voxels along each edge.", min=8)] = 160,
    spacing: Annotated[float, typer.Option(help="Edge of a voxel, mm.")] = 0.8,
    scale: Annotated[
        float,
        typer.Option(help="How many times larger than usual the hearts are: 1.25 for adults'."),
    ] = 1.0,
    workers: Workers = None,
) -> None:
    """Write synthetic 10-structure hearts as NIfTI label maps.

    [dim]vecsetx phantom labels/ --count 40 --seed 0[/]
    """
    from vecsetx.commands.phantom import make_phantoms

    make_phantoms(out, count, seed, size, spacing, workers, scale)
