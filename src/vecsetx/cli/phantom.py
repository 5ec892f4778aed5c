"""The command ``phantom``."""

import math
from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli.command_result import CommandResult
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
) -> CommandResult:
    """Write synthetic hearts of 10 structures as NIfTI label maps.

    [dim]Example: vecsetx phantom labels/ --count 40 --seed 0[/]
    """
    from vecsetx.anatomy.phantom.grid_cuts import WHOLE_MM
    from vecsetx.commands.cine.phantoms import make_beating_phantoms
    from vecsetx.commands.phantom import make_phantoms
    from vecsetx.terminal.next_step import print_next, typed, unused_folder
    from vecsetx.terminal.progress_bars import warn

    cuts: dict[str, tuple[str, ...]] = {}
    if frames is None:
        made = make_phantoms(out, count, seed, size, spacing, workers, scale, cuts)
    else:
        made = make_beating_phantoms(out, count, seed, size, spacing, frames, workers, scale, cuts)
    if cuts:
        whole_mm = WHOLE_MM * scale
        enough = math.ceil(10 * whole_mm / size) / 10
        found = ", ".join(dict.fromkeys(name for cut in cuts.values() for name in cut))
        warn(
            f"a grid of {size * spacing:.0f} mm cuts {len(cuts)} of {count} hearts ({found}), as "
            f"they are up to {whole_mm:.0f} mm across; --spacing {enough:.1f} shows them whole"
        )
    if frames is None:
        print_next(typed("inspect", out))
    else:
        heart = out / "phantom000.nii.gz"
        print_next(typed("reconstruct", "--frames", heart, "--out", unused_folder("patient")))
    return CommandResult(lambda: {"files": [str(file) for file in made], "cut": cuts})
