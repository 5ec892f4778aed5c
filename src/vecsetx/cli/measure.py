"""The command ``measure``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli import completions
from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.options import LABEL_SETS, Dask, MaxVoxels, Space, TrustNames, Units, Workers
from vecsetx.limits import VOXELS


def measure(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUTS",
            readable=False,
            help="Hearts with volumes: label maps, masks, closed meshes, or results of "
            "reconstruct; files, or folders of them.",
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(metavar="FOLDER", help="Folder for measures.csv and measures.json."),
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            autocompletion=completions.label_sets,
            help=f"{LABEL_SETS} Default: what the files say.",
        ),
    ] = None,
    space: Space = "lps",
    units: Units = "mm",
    trust_names: TrustNames = False,
    max_voxels: MaxVoxels = VOXELS,
    workers: Workers = None,
    dask: Dask = None,
) -> CommandResult:
    """Measure volumes, axes, walls, valves and vessels.

    What a scan cuts is left empty, with the reason in measures.json.

    [dim]Example: vecsetx measure labels/ --out measures/[/]
    """
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.commands.measure import measure as run
    from vecsetx.terminal.measures_tables import print_measures
    from vecsetx.terminal.progress_bars import console
    from vecsetx.terminal.remarks import print_remarks

    chosen = label_set(labels) if labels else None
    found = run(inputs, out, chosen, space, units, trust_names, max_voxels, workers, dask)
    print_measures({name: heart.measures for name, heart in found.hearts.items()})
    print_remarks({name: heart.remarks for name, heart in found.hearts.items()})
    console.notice(f"measures.csv and measures.json are in {out}")
    return CommandResult.of_file(out / "measures.json", found.failed)
