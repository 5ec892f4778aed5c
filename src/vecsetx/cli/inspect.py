"""The command ``inspect``."""

from pathlib import Path
from typing import Annotated

import typer

from vecsetx.cli import completions
from vecsetx.cli.command_result import CommandResult
from vecsetx.cli.options import LABEL_SETS, MaxVoxels, Space, TrustNames, Units
from vecsetx.limits import VOXELS


def inspect(
    inputs: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUTS",
            readable=False,
            help="Files and folders; everything that prepare takes.",
        ),
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
) -> CommandResult:
    """Show what files hold and how they would be read.

    The exit status is 1 if a file would be refused, or if hearts have the same name.

    [dim]Example: vecsetx inspect labels/ --json > report.json[/]
    """
    from vecsetx.anatomy.label_sets import label_set
    from vecsetx.commands.inspect import inspect as run
    from vecsetx.terminal.inspection_table import print_inspection
    from vecsetx.terminal.next_step import typed, unused_folder

    chosen = label_set(labels) if labels else None
    entries = run(inputs, chosen, space, units, trust_names, max_voxels)
    # One heart is no data set, and labelled points have no distances to train on.
    are_points = any(entry["kind"] == "points" for entry in entries)
    command, space_option, out = (
        ("reconstruct", "--input-space", unused_folder("patient"))
        if are_points or len(entries) == 1
        else ("prepare", "--space", unused_folder("data"))
    )
    options: dict[str, object] = {
        "--labels": labels,
        space_option: space if space != "lps" else None,
        "--units": units if units != "mm" else None,
        "--max-voxels": max_voxels if max_voxels != VOXELS else None,
    }
    words = [word for option in options.items() if option[1] is not None for word in option]
    words += ["--trust-names"] if trust_names else []
    print_inspection(entries, typed(command, *inputs, *words, "--out", out))
    return CommandResult(
        lambda: {"hearts": entries},
        fault=any(entry["status"] == "refused" or entry["same_name"] for entry in entries),
    )
